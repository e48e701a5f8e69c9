"""Surrogates: one property's model with calibrated uncertainty and applicability domain."""
