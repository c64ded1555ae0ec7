"""Beta calibration (Kull et al. 2017): exact if the scores of each class are beta distributed.

p' = 1 / (1 + exp(-(a log p - b log(1 - p) + c))) with a, b >= 0. `parameters` names what is free:
abm all three; am one slope, a = b; ab both slopes, with p' = 1/2 at p = 1/2; a one slope only.
"""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Sigmoid
from calibtool.calibrators.fitting.logistic import logistic, require_both, require_spread
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary

REMEDY = "use platt with --smoothing, or fit on more rows"


def fit(
    predictions: Predictions | Summary,
    *,
    parameters: Literal["abm", "am", "ab", "a"] = "abm",
    multiclass: Multiclass = "one-vs-rest",
) -> Calibrator:
    """Fit a, b and c by maximum likelihood under a, b >= 0.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such.
        parameters: free parameters: abm for both slopes and the midpoint, am for one slope and the
            midpoint, ab for both slopes, a for one slope.
        multiclass: how K classes are put together.

    Raises FitError if there is no finite optimum.

    >>> p = Predictions.from_probs([0.8] * 5 + [0.2] * 5, [1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
    >>> fit(p, parameters="a")(p).values[[0, 5], 0].round(6).tolist()
    [0.8, 0.2]
    """
    return fit_curves(
        "beta",
        predictions,
        lambda cells: curve(cells, parameters=parameters),
        look="log-odds",
        multiclass=multiclass,
        options={"parameters": parameters},
    )


def curve(cells: Cells, *, parameters: str = "abm") -> Sigmoid:
    """Return the most likely curve of cells of log-odds whose slopes are not negative.

    The objective is convex, so at the constrained optimum each slope is free or 0: the best of the
    unconstrained optima over all such choices that has no negative slope is the optimum. One in
    which the only slope of 0 is negative where both are free needs no other beside it: between the
    optimum with both free and anything better, that slope would be 0 at something better too.
    """
    require_both(cells.n, cells.y, REMEDY)
    require_spread(cells.at)
    # log p and -log(1 - p), of one logarithm
    with np.errstate(under="ignore"):
        small = np.log1p(np.exp(-np.abs(cells.at)))
    up, down = np.minimum(cells.at, 0) - small, np.maximum(cells.at, 0) + small
    half = np.log(2)
    slopes, shift = {
        "abm": ([up, down], True),
        "am": ([up + down], True),
        "ab": ([up + half, down - half], False),
        "a": ([up + down], False),
    }[parameters]
    best, sigmoid = np.inf, Sigmoid(0.0, 0.0, 0.0)
    below = [False] * len(slopes)  # whether each is negative where all are free
    for free in product((True, False), repeat=len(slopes)):  # a slope that is not free is 0
        columns = [x for x, is_free in zip(slopes, free, strict=True) if is_free]
        if shift:
            columns.append(np.ones(len(cells.n)))
        if not columns:
            v, nll = np.zeros(0), half
        else:
            x = np.stack(columns)
            identity = np.append(np.ones(sum(free)), [0.0] * shift)
            v, nll = logistic(x, cells.n, cells.y, REMEDY, start=identity)
        coefficients = iter(v.tolist())
        slope = [next(coefficients) if is_free else 0.0 for is_free in free]
        if all(free):
            below = [value < 0 for value in slope]
        if min(slope) >= 0 and nll < best:
            best = nll
            a, b = slope if len(slope) == 2 else slope * 2
            # without a free shift, a log(1/2) - b log(1/2) + c = 0 keeps p' = 1/2 at p = 1/2
            c = next(coefficients) if shift else (half * (a - b) if len(slope) == 2 else 0.0)
            sigmoid = Sigmoid(a, b, c)
        held = [negative for negative, is_free in zip(below, free, strict=True) if not is_free]
        if min(slope) >= 0 and all(held) and len(held) < 2:
            break
    return sigmoid
