"""Candidates made by a rule from elements, crystals and prototypes."""
