"""Calibrators, which correct probabilities: one per file, and the registry of all."""
