"""Sources that read candidates from files or from the packaged data."""
