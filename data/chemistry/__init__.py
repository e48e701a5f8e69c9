"""Ions, oxidation states and charge balance of compositions."""
