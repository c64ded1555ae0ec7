"""Losses: one per file, and the registry of all of them."""
