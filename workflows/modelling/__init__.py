"""Models that stand on their own: trained from a campaign or a table of labels, and used on any input."""
