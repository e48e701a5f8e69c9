"""Which crystals are equal, and how alike two of them are."""
