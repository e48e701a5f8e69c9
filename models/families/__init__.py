"""Families of ensembles. Each predicts a mean and a spread for every row."""
