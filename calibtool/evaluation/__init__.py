"""The measurement: from rows, or from cells, to a Report."""
