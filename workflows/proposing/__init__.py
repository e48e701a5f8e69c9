"""From a scored pool to the next batch: what a laboratory can make, what it has, and what is worth making."""
