"""The directory of a run: its files, its manifest and its lock."""
