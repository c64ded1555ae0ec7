"""The page that `calibtool report` writes."""
