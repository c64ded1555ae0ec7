"""Per-row scores: a function of the rows gives a value a row, the metric is its weighted mean."""

from __future__ import annotations

from calibtool.checks import Array
from calibtool.errors import NotAvailableError
from calibtool.views import Rows


def accuracy(rows: Rows) -> Array:
    """Whether the predicted class (the first of the highest) is the label."""
    return rows.correct


def confidence(rows: Rows) -> Array:
    """Probability of the predicted class."""
    return rows.confidence


def nll(rows: Rows) -> Array:
    """-log p(label), natural logarithm, not clipped (Good 1952)."""
    if rows.log_prob is None:
        raise NotAvailableError("needs whole probability rows")
    return -rows.log_prob


def brier(rows: Rows) -> Array:
    """Sum over classes of (p - [class is the label])^2 (Brier 1950); 0 to 2."""
    if rows.squares is None or rows.prob is None:
        raise NotAvailableError("needs whole probability rows")
    return rows.squares - 2 * rows.prob + 1
