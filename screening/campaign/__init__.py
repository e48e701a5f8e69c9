"""A campaign and the file it is written in."""
