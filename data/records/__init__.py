"""Results of laboratories: what they send back, and what is kept of it."""
