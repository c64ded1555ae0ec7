"""Solvers that calibrators share."""
