"""Intervals from candidate truths on a line: data sets are simulated under each of them."""

from __future__ import annotations

import numpy as np

from calibtool.intervals.inversion import Inverted
from calibtool.types import Array


def along(observed: float, truth: Array, drawn: Array, level: float) -> Inverted:
    """Return the interval of an error from candidate truths on a line, from 0 to above the error.

    A candidate is in the interval if the observed error lies between the quantiles of what is
    measured when it is true. Between candidates, quantiles and truths are interpolated linearly.

    Args:
        observed: the measured error.
        truth: (S,) the true error of each candidate; the first is perfect calibration.
        drawn: (S, R) the error measured in R data sets drawn under each candidate.
        level: of the interval.

    >>> drawn = np.arange(5.0)[:, None] + np.linspace(-1, 1, 101)
    >>> [round(x, 2) for x in along(2.5, np.arange(5.0), drawn, 0.5)[:4]]
    [2.0, 3.0, 2.5, 0.01]
    """
    tail = (1 - level) / 2
    truth = np.where(truth < 1e-12, 0, truth)  # rounding of a candidate without error
    quantiles = np.quantile(drawn, [1 - tail, tail, 0.5], axis=1)
    places = np.arange(len(truth), dtype=np.float64)
    ends = []
    for quantile in np.maximum.accumulate(quantiles, axis=1):
        # the quantile inverted: from the observed error to the place of a candidate, to its truth;
        # np.interp needs strictly increasing steps
        steps = quantile + 1e-15 * places
        ends.append(float(np.interp(np.interp(observed, steps, places), places, truth)))
    low, high, middle = ends
    null = drawn[0]
    # the data count as one of the replicates, so that a p-value is never 0 (Davison & Hinkley 1997)
    p_value = (1 + int(np.count_nonzero(null >= observed))) / (1 + len(null))
    high = max(low, high)
    return Inverted(low, high, min(max(middle, low), high), p_value)


def enough(observed: float, drawn: Array, level: float) -> bool:
    """Return whether a candidate already lies beyond the high end of `along`.

    Args:
        observed: the measured error.
        drawn: (R,) the error measured in data sets drawn under the candidate.
        level: of the interval.
    """
    return bool(np.quantile(drawn, (1 - level) / 2) > observed)
