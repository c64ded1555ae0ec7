"""The smallest error that this many rows show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from calibtool.analysis.significance.null import TIE, Null, occupied
from calibtool.analysis.significance.statistics import ece
from calibtool.metrics.profiles import equal_mass, equal_width
from calibtool.types import Array, Progress

POWER = 0.8

_HOTTEST = 20.0  # temperature, and its inverse the coldest
_DRAWS = 400
_STEPS = 9  # bisections
_STREAM = 1 << 20  # apart from those of the tests


def detectable(null: Null, critical: float, seed: int, progress: Progress) -> float | None:
    """The ECE that the consistency test finds with 80 % power at this number of rows.

    Candidate truths divide the scores' logits by a temperature: above 1 the scores are
    overconfident, below 1 underconfident. The distance is searched at which 80 % of outcomes drawn
    from the truth have an ECE above the critical value, in both directions; the larger ECE of the
    two counts. None where no temperature between 1/20 and 20 takes the scores so far in either.
    """
    edges = np.unique(np.concatenate([equal_width(null.cells), equal_mass(null.cells, bins=128)]))
    pooled, x = null.pool(edges), _logits(null)

    def seen(log_t: float) -> tuple[float, float]:
        """Power, and the true ECE."""
        with np.errstate(over="ignore"):
            truth = 1 / (1 + np.exp(-x / np.exp(log_t)))
        true = replace(null.cells, y=null.cells.n * truth)
        chance = occupied(true.pool(edges))
        drawn = pooled.redrawn([seed, _STREAM], _DRAWS, chance.y / chance.n)
        return float((ece(drawn) >= critical * (1 - TIE)).mean()), float(ece(true))

    found = []
    for done, side in enumerate((-1, 1), start=1):
        found.append(_first(seen, side * np.log(_HOTTEST)))
        progress("detectable error", done / 2)
    return max((error for error in found if error is not None), default=None)


def _logits(null: Null) -> Array:
    score = null.cells.p / null.cells.n
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(score) - np.log1p(-score))


def _first(seen: Callable[[float], tuple[float, float]], end: float) -> float | None:
    """The true ECE at which the power reaches 80 %, between 0 and `end`: bisection."""
    if seen(end)[0] < POWER:
        return None
    low, high = 0.0, end
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle)[0] >= POWER else (middle, high)
    return seen(high)[1]
