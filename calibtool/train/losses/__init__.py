"""Losses: one per file, and the table of all."""
