"""Stability: the convex hull of competing phases, formation energies on one scale, and what they say of a candidate."""
