"""Monotone spline: a sigmoid of a smooth rising curve of the log-odds.

The slope of the curve is piecewise linear between knots and never negative (a quadratic I-spline,
Ramsay 1988). A penalty on changes of the slope draws the curve to Platt's straight line, so that
few rows bend it little.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Bend
from calibtool.calibrators.fitting.bounded import (
    bend_basis,
    minimise,
    quantiles,
    require_shape,
    roughness,
)
from calibtool.calibrators.fitting.logistic import (
    CERTAIN,
    FAR,
    MANY,
    ROUGHLY,
    gram,
    grouped,
    nll_at,
    require_both,
    require_spread,
)
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError
from calibtool.metrics.cells import Cells
from calibtool.types import Array

REMEDY = "use platt with --smoothing, or fit on more rows"


def fit(
    predictions: Predictions,
    *,
    knots: int = 6,
    smoothness: float = 1.0,
    multiclass: Multiclass = "one-vs-rest",
) -> Calibrator:
    """Fit the slopes by maximum likelihood with the penalty.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        knots: number of knots, at quantiles of the log-odds.
        smoothness: price, in nats, of a change of the slope by 1 from one knot to the next.
        multiclass: how K classes are put together.

    Raises FitError if there is no finite optimum.

    >>> p = Predictions.from_logits([-1.0, 1.0] * 5, [0, 1] * 4 + [1, 0])
    >>> fit(p)(p).values.ravel().round(4)[:2].tolist()  # right 4 times in 5
    [0.2, 0.8]
    """
    require_shape(knots, smoothness)
    return fit_curves(
        "spline",
        predictions,
        lambda cells: curve(cells, knots=knots, smoothness=smoothness),
        look="log-odds",
        multiclass=multiclass,
        options={"knots": knots, "smoothness": smoothness},
    )


def curve(cells: Cells, *, knots: int = 6, smoothness: float = 1.0) -> Bend:
    """Return the curve of cells of log-odds."""
    require_both(cells.n, cells.y, REMEDY)
    require_spread(cells.at)
    rows = cells.n.sum()
    at = quantiles(cells.at, cells.n, knots)
    x = np.concatenate([bend_basis(cells.at, at), np.ones((1, len(cells.at)))])
    # the objective is the mean NLL, so the penalty is per row too; 2 since it is halved below
    rough = np.zeros((len(x), len(x)))
    rough[:-1, :-1] = 2 * smoothness / rows * roughness(len(at))

    def objective(v: Array, x: Array, n: Array, y: Array) -> tuple[float, Array, Array]:
        nll, p = nll_at(v @ x, n, y)
        expected = n * p
        slope = x @ (expected - y) / rows + rough @ v
        curve = gram(x, expected * (1 - p) / rows) + rough
        return nll + float(v @ rough @ v) / 2, slope, curve

    lower, v = np.append(np.zeros(len(at)), -np.inf), np.append(np.ones(len(at)), at[0])
    if x.shape[1] > MANY:
        groups = grouped(x, cells.n, cells.y)
        v, _, _ = minimise(lambda v: objective(v, *groups), v, lower, ROUGHLY)
    v, value, _ = minimise(lambda v: objective(v, x, cells.n, cells.y), v, lower)
    if value < CERTAIN or np.abs(v).max() > FAR:
        raise FitError(f"positives and negatives are separated perfectly; {REMEDY}")
    return Bend(at, v[:-1], float(v[-1]))
