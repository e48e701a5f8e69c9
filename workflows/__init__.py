"""Workflows: the only place where the folders meet and where Dask is used."""
