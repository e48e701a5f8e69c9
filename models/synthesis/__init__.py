"""Driving forces of synthesis on the hull of computed phases, and the phases that compete along the way."""
