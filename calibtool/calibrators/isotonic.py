"""Isotonic regression: the best rising curve (Zadrozny & Elkan 2002).

The curve is constant on each pooled block of scores and linear between blocks. Centred, each block
is one point at its mean score, so that scores inside it keep their order (Oron & Flournoy 2017).

The lowest block often has no positive and the highest no negative: their values are 0 and 1, and
the NLL of a later row with the other outcome is infinite. Smoothing fits the curve to two rows
more, a positive at the lowest score and a negative at the highest. The curve still rises, and a
lowest block of n rows without a positive gets 1 / (n + 1): a floor, as Laplace's is for a share.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Line
from calibtool.calibrators.fitting.logistic import require_both
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.intervals.scipy_parts import isotonic_regression
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary
from calibtool.types import Array


def fit(
    predictions: Predictions | Summary,
    *,
    centred: bool = False,
    smoothing: bool = False,
    multiclass: Multiclass = "one-vs-rest",
) -> Calibrator:
    """Fit the rising curve of least squares, which also has the maximum likelihood.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such.
        centred: make each block of equal values one point, so that scores inside it keep their
            order.
        smoothing: fit to two rows more, a positive at the lowest score and a negative at the
            highest, so that no probability is 0 or 1 and the NLL of new rows is finite.
        multiclass: how K classes are put together.

    Raises FitError for a class without rows, unless there is smoothing.

    >>> p = Predictions.from_probs([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
    >>> fit(p)(p).values[:, 0].tolist()
    [0.0, 0.5, 0.5, 1.0]
    >>> fit(p, smoothing=True)(p).values[:, 0].tolist()  # 0 1 | 1 0 | 1 0
    [0.5, 0.5, 0.5, 0.5]
    """
    return fit_curves(
        "isotonic",
        predictions,
        lambda cells: curve(cells, centred=centred, smoothing=smoothing),
        look="probs",
        multiclass=multiclass,
        options={"centred": centred, "smoothing": smoothing},
        coarse=lowest_positive,
    )


def curve(cells: Cells, *, centred: bool = False, smoothing: bool = False) -> Line:
    """Return the line of cells of probabilities."""
    if not smoothing:
        require_both(cells.n, cells.y, "use --smoothing, which needs none, or fit on more rows")
    # the two rows more decide the values of blocks, not where the blocks lie
    first, values = pooled(with_ends(cells) if smoothing else cells)
    last = np.append(first[1:], len(cells.n)) - 1
    at = cells.at.astype(np.float64)
    if centred:
        mass, score = (np.add.reduceat(x, first) for x in (cells.n, cells.p))
        return Line(*distinct(score / mass, values))
    x, y = np.stack([at[first], at[last]], axis=1).ravel(), np.repeat(values, 2)
    return Line(*distinct(x, y))


def with_ends(cells: Cells) -> Cells:
    """Return the cells with a positive more in the lowest, and a negative more in the highest.

    >>> scores = np.array([0.2, 0.9])
    >>> cells = with_ends(Cells(scores, np.ones(2), scores, np.zeros(2)))
    >>> cells.n.tolist(), cells.y.tolist()
    ([2.0, 2.0], [1.0, 0.0])
    """
    n, y = cells.n.astype(np.float64), cells.y.astype(np.float64)
    n[0] += 1
    y[0] += 1
    n[-1] += 1
    return Cells(cells.at, n, cells.p, y)


def lowest_positive(score: Array, outcome: Array) -> float:
    """Return the lowest score of a positive: all rows below are one block of value 0."""
    return float(score[outcome].min())


def pooled(cells: Cells) -> tuple[Array, Array]:
    """Return the first cell of each block of the isotonic regression, and the blocks' values."""
    share = np.divide(cells.y, cells.n, out=np.zeros_like(cells.y), where=cells.n > 0)
    # neighbours with the same share end in one block; joining them first leaves less to regress
    runs = np.flatnonzero(np.concatenate([[True], share[1:] != share[:-1]]))
    n, y = np.add.reduceat(cells.n, runs), np.add.reduceat(cells.y, runs)
    weighted = n > 0  # cells whose rows have no weight join a neighbour
    runs, n, y = np.append(0, runs[weighted][1:]), n[weighted], y[weighted]
    fitted, blocks = isotonic_regression(y / n, n)
    first = blocks[:-1]
    return runs[first], np.clip(fitted[first], 0, 1)


def distinct(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the points without those at the x of the point before, such as blocks of one score."""
    rises = np.concatenate([[True], x[1:] > x[:-1]])
    return x[rises], y[rises]
