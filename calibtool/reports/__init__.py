"""How results are shown: one file per result, one file per format."""
