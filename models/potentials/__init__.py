"""Interatomic potentials, relaxation with them, and the hulls of their energies."""
