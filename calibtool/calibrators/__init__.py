"""What fixes it: one calibrator per file, and the table of all."""
