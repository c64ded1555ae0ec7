"""Models: one family per file, and the registry of all of them."""
