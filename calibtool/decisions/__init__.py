"""Decisions: thresholds that keep a promise, prediction sets, costs."""
