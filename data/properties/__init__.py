"""The properties that matloop knows, their units, and the names of their columns."""
