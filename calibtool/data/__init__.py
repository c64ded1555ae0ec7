"""What is measured: predictions, where they come from, how rows are grouped."""
