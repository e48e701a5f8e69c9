"""Readers that turn the bytes of a file into crystals or tables. They never guess, and never run what a file holds."""
