"""Monitoring: whether calibration has changed over time."""
