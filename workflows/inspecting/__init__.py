"""Looking at a run, at one of its candidates, and at the machine."""
