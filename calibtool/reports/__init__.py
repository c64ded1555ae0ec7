"""Results as text: one module per result makes its table, one per format renders tables."""
