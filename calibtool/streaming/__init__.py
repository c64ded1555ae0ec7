"""Rows of any number: mergeable summaries, and the pass that makes them."""
