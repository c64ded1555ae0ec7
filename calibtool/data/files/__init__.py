"""Readers and writers of files of predictions."""
