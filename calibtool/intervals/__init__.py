"""Confidence intervals, p-values and random streams, for any metric."""
