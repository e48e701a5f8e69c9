"""The properties matloop knows, their units, and the names of columns that hold them."""
