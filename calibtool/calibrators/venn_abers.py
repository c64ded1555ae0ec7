"""Venn-Abers: two isotonic regressions, the new row taken for a 0 and for a 1 (Vovk et al. 2015).

Inductive: both on all rows. With --folds, one pair a fold, merged. The width p1 - p0 says how sure
the calibrator is; one of the two is calibrated whatever the scores are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.curves import Crossed, Pair, Steps
from calibtool.calibrators.fitted import class_shares
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.data.folds import stratified_folds
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError, UsageError
from calibtool.metrics.cells import Cells
from calibtool.types import Array

MOST = 1 << 25  # scores of all classes


def fit(
    predictions: Predictions, *, folds: int = 0, multiclass: Multiclass = "one-vs-rest"
) -> Calibrator:
    """Fit both regressions for every score that a new row may have.

    Args:
        predictions: N rows of logits or probabilities, with labels; a weight counts as copies.
        folds: 0 for one calibrator on all rows (inductive); k for the merger of k, each on one of k
            parts of the rows (cross).
        multiclass: how K classes are put together.

    >>> p = Predictions.from_probs([0.5] * 3, [1, 1, 0])
    >>> low, high = fit(p).interval(p)
    >>> [float(low[0, 1]), float(high[0, 1])]  # 2 of 4, and 3 of 4
    [0.5, 0.75]
    """
    if folds < 0 or folds == 1:
        raise UsageError(f"--folds must be 0, or at least 2, not {folds}")
    classes = require_fit(predictions)
    if multiclass == "one-vs-rest" and predictions.rows * classes > MOST:
        raise FitError(
            f"{predictions.source}: {predictions.rows:,} rows of {classes:,} classes make some "
            f"{predictions.rows * classes:,} numbers, {MOST:,} are the most; fit on fewer rows, or "
            "with --multiclass confidence"
        )
    options = {"folds": folds}
    if not folds:
        return fit_curves(
            "venn-abers", predictions, curve, look="probs", multiclass=multiclass, options=options
        )
    return _cross(predictions, folds, multiclass)


def curve(cells: Cells) -> Pair:
    """Both step functions of cells of probabilities."""
    alive = cells.n > 0
    n, y, at = cells.n[alive], cells.y[alive], cells.at[alive].astype(np.float64)
    p1 = _with_a_one(n, y)
    p0 = 1 - _with_a_one(n[::-1], (n - y)[::-1])[::-1]
    low = Steps.merged(at, np.append(0.0, p0))
    high = Steps.merged(at, np.append(p1, 1.0))
    return Pair(low.edges, low.values, high.edges, high.values)


def _with_a_one(n: Array, y: Array) -> Array:
    """The isotonic regression's value at each cell, were there one more row in it, a 1.

    With P the corners of the cumulative sums, that is the largest, over i < j, of the least slopes
    from P_i - (1, 1) to the corners P_b, b >= j; as j rises only i = j - 1 can raise it. The least
    slope is that to where the line of sight touches the hull of the corners from j on.
    """
    width, height = np.append(0.0, np.cumsum(n)), np.append(0.0, np.cumsum(y))
    then = _hull(width.tolist(), height.tolist())
    with np.errstate(invalid="ignore", divide="ignore"):
        edge = (height[then] - height) / (width[then] - width)
    edge[-1] = np.inf
    w, h = width[:-1] - 1, height[:-1] - 1
    b = np.arange(1, len(width))

    def falls(b: Array) -> Array:
        """Whether the hull's edge from b still falls below the line of sight to b."""
        return edge[b] * (width[b] - w) < height[b] - h

    strides = [then]
    while (strides[-1] < len(width) - 1).any():
        strides.append(strides[-1][strides[-1]])
    for stride in reversed(strides):  # to the last corner from which it falls, all rows at a time
        b = np.where(falls(stride[b]), stride[b], b)
    b = np.where(falls(b), then[b], b)
    return np.maximum.accumulate(np.clip((height[b] - h) / (width[b] - w), 0, 1))


def _hull(width: list[float], height: list[float]) -> Array:
    """For each corner, the next on the lower hull of the corners from it on."""
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
    """The merger of inductive calibrators, one a fold."""
    require_fit(predictions)
    assert predictions.labels is not None
    if predictions.rows < 2 * folds:
        raise FitError(
            f"{predictions.source}: {predictions.rows} rows are too few for {folds} folds; "
            f"{2 * folds} are the least"
        )
    fold = stratified_folds(predictions.labels, folds, seed=0)
    parts = []
    for k in range(folds):
        part = fit(predictions.take(np.flatnonzero(fold == k)), multiclass=multiclass).map
        assert isinstance(part, Curves)
        parts.append(part)
    pairs: list[Any] = list(zip(*(part.curves for part in parts), strict=True))
    made = replace(parts[0], curves=tuple(map(Crossed, pairs)), prior=class_shares(predictions))
    options = {"folds": folds, "multiclass": multiclass}
    return finish("venn-abers", predictions, made, options=options)
