"""Training sets: labelled rows with provenance and licence; and the materials that are known because of them."""
