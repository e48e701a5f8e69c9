"""Featurizers compute numbers that describe candidates, for whole batches."""
