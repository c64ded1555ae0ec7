"""Monotone spline: a sigmoid of a smooth rising curve of the log-odds.

The curve's slope is straight between knots and never negative (a quadratic I-spline, Ramsay 1988);
a penalty on its changes draws it to Platt's straight line, so that few rows bend it little.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Bend
from calibtool.calibrators.fitting.bounded import bend_basis, minimise, require_shape, roughness
from calibtool.calibrators.fitting.logistic import require_both, require_spread
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
    """Fit the slopes, by maximum likelihood with the penalty.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        knots: how many, at quantiles of the log-odds.
        smoothness: nats that a change of slope by 1 costs, from knot to knot.
        multiclass: how K classes are put together.

    Raises FitError where there is no finite optimum.

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
    """The curve of cells of log-odds."""
    from scipy.special import expit

    require_both(cells.n, cells.y, REMEDY)
    require_spread(cells.at)
    rows = cells.n.sum()
    at = quantiles(cells.at, cells.n, knots)
    x = np.concatenate([bend_basis(cells.at, at), np.ones((len(cells.at), 1))], axis=1)
    rough = np.zeros((x.shape[1], x.shape[1]))
    rough[:-1, :-1] = 2 * smoothness / rows * roughness(len(at))

    def objective(v: Array) -> tuple[float, Array, Array]:
        s = x @ v
        p = expit(s)
        value = float(cells.n @ np.logaddexp(0, s) - cells.y @ s) / rows + float(v @ rough @ v) / 2
        slope = x.T @ (cells.n * p - cells.y) / rows + rough @ v
        return value, slope, (x * (cells.n * p * (1 - p) / rows)[:, None]).T @ x + rough

    lower = np.append(np.zeros(len(at)), -np.inf)
    v, value, _ = minimise(objective, np.append(np.ones(len(at)), at[0]), lower)
    if value < 1e-9 or np.abs(v).max() > 1e6:
        raise FitError(f"positives and negatives are told apart perfectly; {REMEDY}")
    return Bend(at, v[:-1], float(v[-1]))


def quantiles(score: Array, mass: Array, count: int) -> Array:
    """Scores that cut the mass evenly, the lowest and the highest among them; fewer where scores
    coincide."""
    heap = np.cumsum(mass)
    at = np.searchsorted(heap, heap[-1] * np.linspace(0, 1, max(count, 2))[1:-1])
    return np.unique(np.concatenate([score[[0]], score[at], score[[-1]]]))
