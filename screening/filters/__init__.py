"""Hard filters of candidates."""
