"""Which candidates to make next: acquisition functions over calibrated predictions, and batches."""
