"""Featurizers of matminer: its own code in a guarded process, and structure sets computed from flat arrays."""
