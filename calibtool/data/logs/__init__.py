"""Logs of evaluations: the formats in which other tools write predictions, one file each."""
