"""The lower half of the loop: results teach challengers, decide about champions and tell how the loop stands."""
