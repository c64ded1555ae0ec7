"""Beta calibration: scores of each class follow beta distributions (Kull et al. 2017).

p' = 1 / (1 + exp(-(a log p - b log(1 - p) + c))) with a, b >= 0. `parameters` says what is free:
abm all three; am one slope, a = b; ab the midpoint fixed at p = 1/2; a both.
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
    """Fit a, b and c, by maximum likelihood under a, b >= 0.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such.
        parameters: what is free: abm for both slopes and the midpoint, am for one slope and the
            midpoint, ab for both slopes, a for one slope.
        multiclass: how K classes are put together.

    Raises FitError where there is no finite optimum.

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
    """The curve of cells of log-odds: the best of those whose slopes are not negative."""
    from scipy.special import log_expit

    require_both(cells.n, cells.y, REMEDY)
    require_spread(cells.at)
    up, down = log_expit(cells.at), -log_expit(-cells.at)
    half = np.log(2)
    slopes, shift = {
        "abm": ([up, down], True),
        "am": ([up + down], True),
        "ab": ([up + half, down - half], False),
        "a": ([up + down], False),
    }[parameters]
    best, found = np.inf, Sigmoid(0.0, 0.0, 0.0)
    for free in product((True, False), repeat=len(slopes)):  # a slope that would be negative is 0
        columns = [x for x, own in zip(slopes, free, strict=True) if own]
        if shift:
            columns.append(np.ones(len(cells.n)))
        if not columns:
            v, nll = np.zeros(0), half
        else:
            v, nll = logistic(np.stack(columns, axis=1), cells.n, cells.y, REMEDY)
        at = iter(v.tolist())
        slope = [next(at) if own else 0.0 for own in free]
        if min(slope) >= 0 and nll < best:
            best = nll
            a, b = slope if len(slope) == 2 else slope * 2
            c = next(at) if shift else (half * (a - b) if len(slope) == 2 else 0.0)
            found = Sigmoid(a, b, c)
        if all(free) and min(slope) >= 0:
            break
    return found
