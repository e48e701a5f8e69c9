"""Workers on this machine, in batch queues, or at a scheduler that is already running."""
