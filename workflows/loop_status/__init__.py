"""How a loop stands: what came of what was proposed, whether predictions held, and when to stop."""
