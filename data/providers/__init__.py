"""Databases on the network, asked politely, and the snapshots that keep their answers."""
