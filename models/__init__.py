"""Surrogate models with calibrated uncertainty and an applicability domain."""

import matloop.data  # noqa: F401  # places compiled code
