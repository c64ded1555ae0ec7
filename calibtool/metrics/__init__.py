"""What is computed: the tables of views, profiles, norms and metrics, and sets of them by name."""

from __future__ import annotations

from calibtool.metrics.grammar import ESTIMATES, FIXED, NORMS, PROFILES, SIDES, VIEWS
from calibtool.metrics.kinds import (
    CalibrationError,
    Counts,
    Metric,
    OfCells,
    OfCounts,
    OfMatrix,
    OfOther,
    Score,
)
from calibtool.metrics.registry import BINNED, METRICS, SCORES, SECTIONS, SETS

__all__ = [
    "BINNED",
    "ESTIMATES",
    "FIXED",
    "METRICS",
    "NORMS",
    "PROFILES",
    "SCORES",
    "SECTIONS",
    "SETS",
    "SIDES",
    "VIEWS",
    "CalibrationError",
    "Counts",
    "Metric",
    "OfCells",
    "OfCounts",
    "OfMatrix",
    "OfOther",
    "Score",
]
