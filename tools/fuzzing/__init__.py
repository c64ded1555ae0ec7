"""A fuzzer of calibtool: damaged, hostile and absurd input, and what counts as a defect."""
