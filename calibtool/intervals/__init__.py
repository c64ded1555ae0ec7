"""Confidence intervals and p-values, independent of what is measured."""
