"""What corrects probabilities: one calibrator per file, and the table of all."""
