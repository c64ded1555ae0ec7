"""Results as tables and pages: one file per result, one file per format."""
