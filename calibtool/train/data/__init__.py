"""Data to train on: one kind of source per file."""
