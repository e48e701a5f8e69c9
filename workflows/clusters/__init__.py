"""Where workers are: on this machine, in batch queues, at a scheduler that runs already."""
