"""Generators make candidates by a rule from elements, crystals and prototypes."""
