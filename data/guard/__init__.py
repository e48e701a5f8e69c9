"""Work that may hang, crash or eat memory, done in a process that may be killed."""
