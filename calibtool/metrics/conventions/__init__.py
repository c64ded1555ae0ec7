"""The numbers that other libraries give for the same predictions."""
