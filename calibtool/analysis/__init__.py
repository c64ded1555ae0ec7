"""Questions about evaluations: comparison, slices, selection, significance, monitoring."""
