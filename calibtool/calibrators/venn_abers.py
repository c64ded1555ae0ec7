"""Venn-Abers: two isotonic regressions, with the new row as a 0 and as a 1 (Vovk et al. 2015).

Inductive: both are fitted to all rows. With --folds, one pair is fitted per fold, and the pairs are
merged. The width p1 - p0 is how uncertain the calibrator is; one of p0 and p1 is calibrated
whatever the scores are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.curves import Crossed, Pair, Steps
from calibtool.calibrators.fitted import FitRecord, class_shares
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.data.folds import folds_of
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError, UsageError
from calibtool.metrics.cells import Cells
from calibtool.types import Array

# Scores of all classes at most: the calibrator keeps up to 4 numbers per score, and the hulls are
# built by a Python loop over the scores.
MAX_SCORES = 1 << 25


def fit(
    predictions: Predictions, *, folds: int = 0, multiclass: Multiclass = "one-vs-rest"
) -> Calibrator:
    """Fit both regressions for every score that a new row may have.

    Args:
        predictions: N rows of logits or probabilities, with labels. A row of weight w counts as w
            rows.
        folds: 0 for one calibrator on all rows (inductive); k for k calibrators, each on one of k
            parts of the rows, merged (cross).
        multiclass: how K classes are put together.

    >>> p = Predictions.from_probs([0.5] * 3, [1, 1, 0])
    >>> low, high = fit(p).interval(p)
    >>> [float(low[0, 1]), float(high[0, 1])]  # 2 of 4, and 3 of 4
    [0.5, 0.75]
    """
    if folds < 0 or folds == 1:
        raise UsageError(f"--folds must be 0, or at least 2, not {folds}")
    classes = require_fit(predictions)
    if multiclass == "one-vs-rest" and predictions.rows * classes > MAX_SCORES:
        raise FitError(
            f"{predictions.source}: {predictions.rows:,} rows of {classes:,} classes would make "
            f"{predictions.rows * classes:,} numbers; at most {MAX_SCORES:,} are possible. Fit on "
            "fewer rows, or with --multiclass confidence"
        )
    options = {"folds": folds}
    if not folds:
        return fit_curves(
            "venn-abers", predictions, curve, look="probs", multiclass=multiclass, options=options
        )
    return _cross(predictions, folds, multiclass)


def curve(cells: Cells) -> Pair:
    """Return both step functions of cells of probabilities."""
    weighted = cells.n > 0
    n, y, at = cells.n[weighted], cells.y[weighted], cells.at[weighted].astype(np.float64)
    # adding a 0 is adding a 1 to the problem with outcomes and order reversed
    p1 = _with_a_one(n, y)
    p0 = 1 - _with_a_one(n[::-1], (n - y)[::-1])[::-1]
    low = Steps.merged(at, np.append(0.0, p0))
    high = Steps.merged(at, np.append(p1, 1.0))
    return Pair(low.edges, low.values, high.edges, high.values)


def _with_a_one(n: Array, y: Array) -> Array:
    """Return the value of the isotonic regression at each cell, with one more row in it, a 1.

    Isotonic regression is the slope of the greatest convex minorant of the cumulative sums. Let P
    be their corners. With the additional row in cell j, the value there is the largest, over i < j,
    of the smallest slopes from P_i - (1, 1) to the corners P_b, b >= j; as j increases, only
    i = j - 1 can raise it, hence the running maximum. The smallest slope is that of the tangent
    from the point to the lower hull of the corners from j on.

    All tangents are found at once: `then` links each corner to the next on the hull that starts
    there, and the tangent point is found along these links by strides that halve.
    """
    width, height = np.append(0.0, np.cumsum(n)), np.append(0.0, np.cumsum(y))
    then = _hull(width.tolist(), height.tolist())
    with np.errstate(invalid="ignore", divide="ignore"):
        edge = (height[then] - height) / (width[then] - width)
    edge[-1] = np.inf
    w, h = width[:-1] - 1, height[:-1] - 1
    b = np.arange(1, len(width))

    def falls(b: Array) -> Array:
        """Return whether the hull's edge from b still falls below the line of sight to b."""
        return edge[b] * (width[b] - w) < height[b] - h

    strides = [then]
    while (strides[-1] < len(width) - 1).any():
        strides.append(strides[-1][strides[-1]])
    for stride in reversed(strides):  # to the last corner from which the edge falls
        b = np.where(falls(stride[b]), stride[b], b)
    b = np.where(falls(b), then[b], b)
    return np.maximum.accumulate(np.clip((height[b] - h) / (width[b] - w), 0, 1))


def _hull(width: list[float], height: list[float]) -> Array:
    """Return, for each corner, the next one on the lower hull of the corners from it on."""
    end = len(width) - 1
    then = [*range(1, end + 1), end]
    for i in range(end - 1, -1, -1):
        x, y, c = width[i], height[i], i + 1
        while c < end:
            d = then[c]
            if (height[d] - y) * (width[c] - x) > (height[c] - y) * (width[d] - x):
                break
            c = d
        then[i] = c
    return np.array(then)


def _cross(predictions: Predictions, folds: int, multiclass: Multiclass) -> Calibrator:
    """Return the merger of inductive calibrators, one per fold."""
    assert predictions.labels is not None
    if predictions.rows < 2 * folds:
        raise FitError(
            f"{predictions.source}: {predictions.rows} rows are too few for {folds} folds; "
            f"at least {2 * folds} are needed"
        )
    fold = folds_of(predictions, predictions.labels, folds, seed=0)
    maps = []
    for k in range(folds):
        fold_map = fit(predictions.take(np.flatnonzero(fold == k)), multiclass=multiclass).map
        assert isinstance(fold_map, Curves)
        maps.append(fold_map)
    pairs: list[Any] = list(zip(*(fold_map.curves for fold_map in maps), strict=True))
    merged = replace(maps[0], curves=tuple(map(Crossed, pairs)), prior=class_shares(predictions))
    options = {"folds": folds, "multiclass": multiclass}
    return finish("venn-abers", predictions, merged, FitRecord(options=options))
