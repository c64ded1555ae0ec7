"""The smallest calibration error that this number of rows can detect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from calibtool.analysis.significance.null import TIE, Null
from calibtool.analysis.significance.statistics import ece
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.profiles import equal_mass, equal_width
from calibtool.types import Array, Progress

POWER = 0.8  # the usual target of sample-size calculations

# Largest temperature that is tried, and the inverse of the smallest. At 20 nearly all scores are
# driven to the base of 0.5 or to 0 and 1, so wider limits would find no larger error.
_HOTTEST = 20.0
_DRAWS = 400  # the standard error of a power near 0.8 is then 0.02
_STEPS = 9  # bisections: log(20) / 2^9 resolves the temperature to 0.6 %


def detectable(null: Null, critical: float, seed: int, progress: Progress) -> float | None:
    """Return the ECE that the consistency test detects with 80 % power at this number of rows.

    Candidate truths divide the logits of the scores by a temperature: above 1 the scores are
    overconfident, below 1 underconfident. In each direction the temperature is searched at which
    80 % of the outcomes drawn from the truth have an ECE above the critical value. The larger of
    the two true ECEs is returned, because both kinds of error are to be detected.

    Args:
        null: cells of the scores.
        critical: ECE that redrawn outcomes of calibrated scores exceed in 5 % of cases.
        seed: seed of the outcomes drawn from a candidate truth.
        progress: progress callback.

    Returns None if no temperature between 1/20 and 20 distorts the scores enough in either
    direction.
    """
    # Fewer cells make redrawing cheaper. The edges of the ECE's bins are among these edges, so
    # that pooling does not change the ECE of the outcomes.
    edges = np.unique(np.concatenate([equal_width(null.cells), equal_mass(null.cells, bins=128)]))
    pooled, logits = null.pool(edges), _logits(null)

    def power_at(log_t: float) -> tuple[float, float]:
        """Return the power and the true ECE at a logarithm of the temperature."""
        with np.errstate(over="ignore"):
            truth = 1 / (1 + np.exp(-logits / np.exp(log_t)))
        true = replace(null.cells, y=null.cells.n * truth)
        chance = true.pool(edges).occupied()
        drawn = pooled.redrawn(generator(Stream.POWER, seed), _DRAWS, chance.y / chance.n)
        return float((ece(drawn) >= critical * (1 - TIE)).mean()), float(ece(true))

    errors = []
    for done, side in enumerate((-1, 1), start=1):
        errors.append(_smallest_detected(power_at, side * np.log(_HOTTEST)))
        progress("detectable error", done / 2)
    return max((error for error in errors if error is not None), default=None)


def _logits(null: Null) -> Array:
    """Return (C,) logits of the mean score of each cell; infinite for scores of 0 and 1."""
    score = null.cells.p / null.cells.n
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(score) - np.log1p(-score))


def _smallest_detected(
    power_at: Callable[[float], tuple[float, float]], end: float
) -> float | None:
    """Return the true ECE at which the power reaches 80 %, by bisection between 0 and `end`.

    Returns None if the power stays below 80 % at `end`.
    """
    if power_at(end)[0] < POWER:
        return None
    low, high = 0.0, end
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle)[0] >= POWER else (middle, high)
    return power_at(high)[1]
