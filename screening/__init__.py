"""Campaigns, filters, targets, ranking, shortlists and reports."""
