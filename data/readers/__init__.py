"""From the bytes of files to cells, tables and numbers; nothing in a file is ever guessed or run."""
