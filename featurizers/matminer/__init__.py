"""Featurizers of matminer: by its own code under guard, and structure sets computed from flat arrays."""
