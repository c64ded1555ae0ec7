"""Who runs a pass: threads, or a cluster."""
