"""Novelty of a finalist, and changes that would move its place."""
