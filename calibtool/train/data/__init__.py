"""Training data: one kind of source per file."""
