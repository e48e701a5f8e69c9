"""A finished or unfinished run as it is read from its directory."""
