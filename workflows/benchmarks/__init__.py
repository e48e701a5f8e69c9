"""Benchmarks of the models: published test suites by their own protocol."""
