"""Labels of one's own: cells, the account of every row, and the files that hold them."""
