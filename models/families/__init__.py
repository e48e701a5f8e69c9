"""Families of ensembles: each gives a mean and a spread for every row."""
