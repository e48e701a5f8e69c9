"""Training sets: labelled rows with what must be said of them, and what is known because somebody labelled it."""
