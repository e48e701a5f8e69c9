"""From a finished run to what a laboratory receives."""
