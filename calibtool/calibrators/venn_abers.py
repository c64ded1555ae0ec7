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

    `then` links each corner to the next on the hull that starts there, and all tangents are found
    at once, along these links.
    """
    width, height = np.append(0.0, np.cumsum(n)), np.append(0.0, np.cumsum(y))
    then = _hulls(width, height, y == 0, y == n)
    w, h = width[:-1] - 1, height[:-1] - 1
    b = _tangents(w, h, np.arange(1, len(width)), width, height, then)
    return np.maximum.accumulate(np.clip((height[b] - h) / (width[b] - w), 0, 1))


def _tangents(w: Array, h: Array, b: Array, width: Array, height: Array, then: Array) -> Array:
    """Return, for points (w, h), the corner to which the slope is smallest on the hull that starts
    at corner b, to the right of the point.

    It is found along the links `then`, by strides that halve.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        edge = (height[then] - height) / (width[then] - width)
    edge[-1] = np.inf

    def falls(b: Array) -> Array:
        """Return whether the hull's edge from b still falls below the line of sight to b."""
        return edge[b] * (width[b] - w) < height[b] - h

    strides = [then]
    while (strides[-1] < len(then) - 1).any():
        strides.append(strides[-1][strides[-1]])
    for stride in reversed(strides):  # to the last corner from which the edge falls
        b = np.where(falls(stride[b]), stride[b], b)
    return np.where(falls(b), then[b], b)


def _hulls(width: Array, height: Array, level: Array, steep: Array) -> Array:
    """Return, for each corner, the next one on the lower hull of the corners from it on.

    Most cells of a class among many hold no positive row, or, in reverse, nothing else. Within a
    run of cells without one (`level`), no slope is lower than 0, and the next corner is the end of
    the run. Within a run of cells of nothing else (`steep`), no slope is higher than 1: no hull
    that starts before turns there, and the next corner is a tangent from it to the hull that starts
    at the end of the run. So only the corners between runs are gone through one by one.
    """
    end = len(width) - 1
    inner = np.zeros(end + 1, bool)
    inner[1:end] = (level[:-1] & level[1:]) | (steep[:-1] & steep[1:])
    at = np.flatnonzero(~inner)
    then = np.zeros(end + 1, np.int64)
    links = at[_hull(width[at].tolist(), height[at].tolist())]
    then[at] = links
    inside = np.flatnonzero(inner)
    if len(inside):
        follows = np.searchsorted(at, inside)  # the end of each one's run, among `at`
        ends = at[follows]
        then[inside] = ends
        up = steep[inside]
        rises = inside[up]
        outer = np.searchsorted(at, links)
        found = _tangents(width[rises], height[rises], follows[up], width[at], height[at], outer)
        then[rises] = at[found]
    return then


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
