"""What is new about a finalist, and what would change its place."""
