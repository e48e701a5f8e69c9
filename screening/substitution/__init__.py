"""Replacements of an element: what is to be kept, what elements cost and where they are listed, order and words."""
