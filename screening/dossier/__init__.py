"""What is handed to a lab."""
