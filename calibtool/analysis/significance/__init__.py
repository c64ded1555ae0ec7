"""Significance tests of perfect calibration."""
