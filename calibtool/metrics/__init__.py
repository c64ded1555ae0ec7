"""Metrics, the views, profiles and norms that specs combine, and named sets of metrics."""

from __future__ import annotations

from calibtool.metrics.grammar import ESTIMATES, FIXED, NORMS, PROFILES, SIDES, VIEWS
from calibtool.metrics.kinds import (
    BinnedError,
    CellMetric,
    CountMetric,
    Counts,
    MatrixMetric,
    Metric,
    Score,
    TwoFileMetric,
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
    "BinnedError",
    "CellMetric",
    "CountMetric",
    "Counts",
    "MatrixMetric",
    "Metric",
    "Score",
    "TwoFileMetric",
]
