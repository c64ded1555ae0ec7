"""Losses and `finish` in the loops of other packages: one package per file."""
