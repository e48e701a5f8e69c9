"""Formulas as people write them, spelled in plain letters, digits and brackets."""
