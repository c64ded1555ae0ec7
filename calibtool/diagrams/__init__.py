"""One kind of diagram per file: what is drawn, and its drawing."""
