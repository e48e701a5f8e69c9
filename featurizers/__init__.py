"""Featurizers compute numbers that describe candidates, for whole batches."""

import matloop.data  # noqa: F401  # places compiled code
