"""Feature sets: numbers that describe candidates, computed for whole batches."""
