"""Featurizers that may hang or crash, each row in a process that may be killed."""
