"""What workers do: score candidates, relax them, and say what became of each."""
