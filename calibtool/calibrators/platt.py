"""Platt scaling: a sigmoid of the log-odds, two parameters (Platt 1999).

p' = 1 / (1 + exp(-(a x + c))) with x = log p - log(1 - p). For a single column of logits, x is that
logit. For one class among K, x is the log-odds of the class against all others, which a constant
added to all logits of a row does not change.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Sigmoid
from calibtool.calibrators.fitting.logistic import logistic, require_both, require_spread
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary

REMEDY = "use --smoothing, which has an optimum on any data, or fit on more rows"


def fit(
    predictions: Predictions | Summary,
    *,
    smoothing: bool = False,
    multiclass: Multiclass = "one-vs-rest",
) -> Calibrator:
    """Fit a and c by maximum likelihood.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such.
        smoothing: use the targets (N1 + 1) / (N1 + 2) and 1 / (N0 + 2) instead of 1 and 0 (Platt
            1999, eq. 4): for few rows, and for rows that are separated perfectly.
        multiclass: how K classes are put together.

    Raises FitError if there is no finite optimum.

    >>> p = Predictions.from_logits([-1.0, 1.0] * 5, [0, 1] * 4 + [1, 0])
    >>> cal = fit(p)
    >>> round(cal.map.curves[0].a, 4)  # right 4 times in 5: log 4
    1.3863
    """
    return fit_curves(
        "platt",
        predictions,
        lambda cells: curve(cells, smoothing=smoothing),
        look="log-odds",
        multiclass=multiclass,
        options={"smoothing": smoothing},
    )


def curve(cells: Cells, *, smoothing: bool = False) -> Sigmoid:
    """Return the sigmoid of cells of log-odds."""
    n, y = cells.n, cells.y
    require_spread(cells.at)
    if smoothing:
        ones = y.sum()
        zeros = n.sum() - ones
        y = y * (ones + 1) / (ones + 2) + (n - y) / (zeros + 2)
    else:
        require_both(n, y, REMEDY)
    x = np.stack([cells.at, np.ones(len(n))])
    (a, c), _ = logistic(x, n, y, REMEDY, start=np.array([1.0, 0.0]))  # the identity
    return Sigmoid(float(a), float(a), float(c))
