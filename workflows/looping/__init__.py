"""The lower half of the loop: results teach challengers, and decide about champions."""
