"""Versions of the tables of the records database, run by Alembic."""
