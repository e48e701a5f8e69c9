"""What gives cause to look at a candidate twice before it is made."""
