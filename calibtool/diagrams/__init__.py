"""How it looks: one kind of diagram per file."""
