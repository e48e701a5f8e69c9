"""Candidates, properties, units, packaged data, sources and generators."""
