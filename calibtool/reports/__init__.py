"""How it is told: one file per result, one file per format."""
