"""Other libraries' numbers, reproduced."""
