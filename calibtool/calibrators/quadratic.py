"""Quadratic scaling: a sigmoid of a parabola of the log-odds (Berta et al. 2025).

p' = 1 / (1 + exp(-(a + b x + c x^2))) with x = log p - log(1 - p), without a penalty: Platt's
sigmoid, and one parameter more with which high and low scores can be off by different slopes.

A parabola turns. Between the lowest and the highest score of the fit data it may, where the rows
say so. Beyond them nothing says so, and with c > 0 it would give the least likely rows the highest
probabilities: there the curve goes on along its tangent, or level if that falls. Log-odds beyond
53 ln 2, those of the float64 next to 1, count as that: their squares would outweigh all others.
"""

from __future__ import annotations

import math

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import FARTHEST, Parabola
from calibtool.calibrators.fitting.logistic import logistic, require_both, require_spread
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary

REMEDY = "use platt with --smoothing, or fit on more rows"


def fit(
    predictions: Predictions | Summary, *, multiclass: Multiclass = "one-vs-rest"
) -> Calibrator:
    """Fit a, b and c by maximum likelihood.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such.
        multiclass: how K classes are put together.

    Raises FitError if there is no finite optimum.

    >>> p = Predictions.from_logits([-2.0, 0.0, 1.0] * 5, [0, 0, 1] * 4 + [1, 1, 0])
    >>> fit(p)(p).values[:3, 0].round(6).tolist()  # three scores, three shares
    [0.2, 0.2, 0.8]
    """
    return fit_curves(
        "quadratic", predictions, curve, look="log-odds", multiclass=multiclass, options={}
    )


def curve(cells: Cells) -> Parabola:
    """Return the most likely parabola of cells of log-odds."""
    x, n = np.clip(cells.at, -FARTHEST, FARTHEST), cells.n
    require_spread(x[[0, -1]] if x[0] < x[-1] else x[:1])
    require_both(n, cells.y, REMEDY)
    # Newton's steps do not depend on the unit of x, but their rounding does: the matrix of second
    # derivatives would hold numbers from 1 to 1e6.
    share = n / n.sum()
    middle = float(share @ x)
    unit = math.sqrt(share @ (x - middle) ** 2)
    u = (x - middle) / unit
    basis, identity = np.stack([np.ones(len(u)), u, u * u]), np.array([middle, unit, 0.0])
    v, _ = logistic(basis, n, cells.y, REMEDY, start=identity)
    level, slope, bend = (float(value) for value in v)
    c = bend / unit**2
    b = slope / unit - 2 * c * middle
    a = level - slope / unit * middle + c * middle**2
    return Parabola(a, b, c, float(x[0]), float(x[-1]))
