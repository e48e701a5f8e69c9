"""Candidates: batches of them, their compositions, crystals, formulas and ids."""
