"""Surrogate models with calibrated uncertainty and an applicability domain."""
