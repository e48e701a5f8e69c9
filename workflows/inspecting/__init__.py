"""Looking at a campaign, a run, one of its candidates, and the machine."""
