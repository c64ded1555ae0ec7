"""JSON Schemas of every document that calibtool writes or reads: one file per family of them."""
