"""Benchmarks of the models: published test suites by their own protocol, and replays of labelled data."""
