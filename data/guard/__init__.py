"""Run work that may hang, crash or use too much memory in a process that can be killed."""
