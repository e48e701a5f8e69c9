"""Sources of candidates that take more than one module."""
