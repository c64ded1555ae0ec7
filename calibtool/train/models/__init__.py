"""Models: one family per file, and the table of all."""
