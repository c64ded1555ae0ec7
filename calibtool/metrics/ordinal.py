"""Metrics of levels: ratings, grades, scores. The classes are levels in the order of their ids."""

from __future__ import annotations

from typing import Literal

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import WHOLE_ROWS, NotAvailableError
from calibtool.metrics.cells import quotient
from calibtool.metrics.kinds import CountMetric, Counts, Score
from calibtool.types import Array


def ranked_probability_score(rows: Rows, *, scale: Literal["sum", "mean"] = "sum") -> Array:
    """Return the sum over levels k < K of (P(Y <= k) - [label <= k])^2 (Epstein 1969).

    `scale=mean` divides by K - 1, the number of those levels, so that it lies in [0, 1].
    """
    if rows.ranked is None or rows.ranked_mean is None:
        raise NotAvailableError(WHOLE_ROWS)
    return rows.ranked if scale == "sum" else rows.ranked_mean


def level_distance(rows: Rows) -> Array:
    """Return how many levels lie between the predicted level and the label."""
    return np.abs(_off(rows))


def squared_level_distance(rows: Rows) -> Array:
    """Return the square of the levels between the predicted level and the label."""
    return _off(rows) ** 2


def within(rows: Rows, *, levels: int = 1) -> Array:
    """Return True where the predicted level is at most `levels` away from the label."""
    return np.asarray(np.abs(_off(rows)) <= levels)


def quadratic_kappa(counts: Counts) -> Array:
    """Return 1 - D / E, where D is the mean squared distance of predicted level and label, and E
    what it would be if the two were independent (Cohen 1968).

    NaN where predictions and labels are all of one level.

    >>> half = np.array([0.5, 0.5])
    >>> float(quadratic_kappa(Counts(half, half, half, np.zeros(()))))
    1.0
    """
    level = np.arange(counts.label.shape[-1], dtype=np.float64)
    label, predicted = counts.label, counts.predicted
    means = label @ level, predicted @ level
    spreads = label @ level**2 - means[0] ** 2 + predicted @ level**2 - means[1] ** 2
    return 1 - quotient(counts.mean, np.maximum(spreads, 0) + (means[0] - means[1]) ** 2)


def _off(rows: Rows) -> Array:
    """Return the predicted level minus the label, float64."""
    if rows.labels is None or rows.predicted is None:
        raise NotAvailableError(WHOLE_ROWS)
    return rows.predicted.astype(np.float64) - rows.labels


ORDINAL: tuple[Score | CountMetric, ...] = (
    Score(
        "rps",
        "Ranked probability score",
        "mean of the sum over levels k < K of (P(Y <= k) - [y <= k])^2",
        "Epstein 1969; Murphy 1971",
        ranked_probability_score,
        needs=("ranked",),
        ideal=0,
        least=0,
        sees="calibration and sharpness together; mass far from the label costs more",
        blind="which of the two moved it",
    ),
    Score(
        "level-distance",
        "Mean level distance",
        "mean of |argmax p - y|, in levels",
        "Gaudette & Japkowicz 2009",
        level_distance,
        needs=("labels", "predicted"),
        ideal=0,
        least=0,
        sees="how far off the predicted level is",
        blind="probabilities",
    ),
    Score(
        "squared-level-distance",
        "Mean squared level distance",
        "mean of (argmax p - y)^2",
        "Gaudette & Japkowicz 2009",
        squared_level_distance,
        needs=("labels", "predicted"),
        ideal=0,
        least=0,
        sees="how far off the predicted level is, large misses most",
        blind="probabilities",
    ),
    Score(
        "within-accuracy",
        "Accuracy within one level",
        "share of the rows with |argmax p - y| <= 1, or `levels`",
        "Gaudette & Japkowicz 2009",
        within,
        better="higher",
        needs=("labels", "predicted"),
        ideal=1,
        least=0,
        most=1,
        sees="how often the predicted level is at most a level away",
        blind="probabilities",
    ),
    CountMetric(
        "qwk",
        "Quadratic weighted kappa",
        "1 - mean squared distance of levels / that of independent predictions",
        "Cohen 1968",
        quadratic_kappa,
        rows=squared_level_distance,
        better="higher",
        ideal=1,
        least=-1,
        most=1,
        sees="agreement of levels beyond chance",
        blind="probabilities",
    ),
)
