"""Surrogates: a model of one property with calibrated uncertainty and an applicability domain."""
