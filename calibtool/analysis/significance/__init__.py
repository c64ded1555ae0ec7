"""Is it miscalibrated at all: tests of perfect calibration."""
