"""Clients of databases on the network, and the writer of snapshots of their answers."""
