"""Any number of rows: summaries that can be added, and the pass that makes them."""
