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
# One point in how many along a line is looked at first.
EVERY = 16


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

    Most cells of a class among many hold no positive row, or, in reverse, nothing else. For a cell
    in a run of the former, P_i - (1, 1) lies below the run, and the tangent passes its level
    corners by; for one of the latter it lies on the run's line, with all of its corners in one
    direction. Either tangent is that to the hull that starts at the end of the run, and no hull
    that starts before turns inside one. So only corners between runs are gone through one by one.
    """
    width, height = np.append(0.0, np.cumsum(n)), np.append(0.0, np.cumsum(y))
    level, steep = y == 0, y == n
    between = np.ones(len(width), bool)
    between[1:-1] = ~(level[:-1] & level[1:] | steep[:-1] & steep[1:])
    end = (np.cumsum(between) - between)[1:]  # of each cell's run, among the corners between runs
    then = _hull(width[between].tolist(), height[between].tolist())
    w, h = width[:-1] - 1, height[:-1] - 1
    width, height = width[between], height[between]
    b = _tangents_of_runs(w, h, end, width, height, then)
    return np.maximum.accumulate(np.clip((height[b] - h) / (width[b] - w), 0, 1))


def _tangents_of_runs(
    w: Array, h: Array, b: Array, width: Array, height: Array, then: Array
) -> Array:
    """Return what `_tangents` does, for points of which neighbours with the same b lie on a line
    that is level or has a slope of 1.

    Along such a line the corner that a hull is touched at moves one way. Where it is the same for
    two points, it is for those between: few are looked at.
    """
    looked = np.arange(len(b)) % EVERY == 0
    first = np.flatnonzero(np.diff(b, prepend=-1))
    looked[first] = looked[first - 1] = True  # the last point of all comes before the first
    at, rest = np.flatnonzero(looked), np.flatnonzero(~looked)
    found = np.empty(len(b), np.int64)
    found[at] = _tangents(w[at], h[at], b[at], width, height, then)
    before = np.cumsum(looked)[rest] - 1
    found[rest] = found[at[before]]
    unlike = rest[found[rest] != found[at[before + 1]]] if len(rest) else rest
    found[unlike] = _tangents(w[unlike], h[unlike], b[unlike], width, height, then)
    return found


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
