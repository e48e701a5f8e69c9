"""Words, numbers and formulas in English and Chinese."""
