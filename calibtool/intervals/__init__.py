"""How sure: intervals, independent of what is measured."""
