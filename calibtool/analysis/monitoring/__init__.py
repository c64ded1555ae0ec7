"""Monitoring: is the calibration still what it was."""
