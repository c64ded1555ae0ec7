"""May it ship: requirements, and what became of them."""
