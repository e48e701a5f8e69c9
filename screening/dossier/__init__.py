"""Files that are handed to a lab."""
