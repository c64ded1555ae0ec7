"""Predictions, the files they come from, and how their rows are grouped."""
