"""Solid-state synthesis: precursors, balanced reactions in whole numbers, routes, masses of a batch."""
