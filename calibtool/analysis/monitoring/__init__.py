"""Is it still right: calibration over time."""
