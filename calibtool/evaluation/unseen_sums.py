"""The unseen row of means that are known by their sums, not by rows.

A summary keeps the scores of a view as cells, and of every other value its moments. The unseen row
has a score of a cell; of more than two classes, the other classes share the rest of the
probability alike. The replicates of the mean have a gamma distribution, with the skewness that
Exp(1) weights give: for a share of k rows it is that of Gamma(k), as in `intervals.unseen`.
"""

from __future__ import annotations

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.evaluation.fine_cells import cut
from calibtool.evaluation.unseen_rows import SAMPLE_VALUES, UnseenRows
from calibtool.intervals.draws import Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells
from calibtool.streaming.exact import Exact
from calibtool.streaming.summary import Summary
from calibtool.types import Array

# Cells of which the unseen row may be: as many as replicates, which draw one or three each.
CELLS = 1 << 10
# Skewness below which a gamma distribution of 10,000 and more rows is normal to three digits.
STRAIGHT = 0.02


def unseen_of(summary: Summary, draws: Draws, columns: frozenset[str]) -> UnseenRows | None:
    """Return the rows of which an unseen one may be; None for a summary without a view of one
    score per row.

    Args:
        summary: the sums.
        draws: the replicates.
        columns: the columns of `Rows` that the metrics need.
    """
    classes = summary.classes
    view = "positive" if summary.has("positive") else "top"
    if not summary.has(view):
        return None
    most = min(CELLS, max(SAMPLE_VALUES // (classes or 1), 256))
    cells, count, of_row = informative(summary, view, most)
    weight = of_row if summary.weighted else None
    score = np.clip(cells.centres(), 0, 1)
    if classes is None:
        hits = np.ones(len(score), bool)
        sample = Predictions("confidence", score, correct=hits, weights=weight)
    else:
        probs = np.repeat(((1 - score) / (classes - 1))[:, None], classes, axis=1)
        probs[:, 1 if classes == 2 else 0] = score
        labels = np.zeros(len(score), np.int64)
        sample = Predictions("probs", probs, labels, weights=weight)
    return UnseenRows(sample, draws, columns, count)


def informative(summary: Summary, view: str, most: int = CELLS) -> tuple[Cells, Array, Array]:
    """Return at most `most` occupied cells of a view; the rows of equal weight, (C,), that would
    be as informative as each; and the weight of one of those, (C,)."""
    exact, squares = summary.cells(view), summary.squares(view)
    edges = cut(exact.occupied(), most)
    pooled = exact.pool(edges)
    summed = Cells(exact.at, squares, squares, squares).pool(edges).n
    some = pooled.n > 0
    weight = summed[some] / pooled.n[some]
    return pooled.occupied(), pooled.n[some] / weight, weight


def skewness(sums: Exact, *, weighted: bool) -> float:
    """Return the skewness of a weighted mean under Exp(1) weights, from the sums that
    `streaming.exact.moments` keeps.

    It is 2 sum(w**3 c**3) / sum(w**2 c**2)**1.5, c the distance from the mean. Of weighted rows the
    third sum is not kept; it is taken to be as much larger than that of w c**3 as the square of the
    ratio of the second ones.
    """
    total, one, two, three, squares, with_one, with_two = (float(x) for x in sums.high)
    mean = one / total
    spread = with_two - 2 * mean * with_one + mean**2 * squares
    plain = two - 2 * mean * one + mean**2 * total
    third = three - 3 * mean * two + 3 * mean**2 * one - mean**3 * total
    if not (spread > 0 and plain > 0):
        return 0.0
    if weighted:
        third *= (spread / plain) ** 2
    cubed = spread**1.5  # 0 where it is too small for a float
    return 2 * third / cubed if cubed else 0.0


def spread_of_bias(cells: Cells, count: Array, weight: Array, value: float) -> tuple[float, float]:
    """Return the standard error of the mean of score - outcome, and its skewness under Exp(1)
    weights.

    Args:
        cells: occupied cells.
        count, weight: (C,) of `informative`.
        value: the mean.
    """
    score = cells.centres()
    ones = cells.y / cells.n * count
    distance = np.concatenate([score - 1, score]) - value
    rows, of_one = np.concatenate([ones, count - ones]), np.concatenate([weight, weight])
    spread = float((rows * (of_one * distance) ** 2).sum())
    third = float((rows * (of_one * distance) ** 3).sum())
    error, cubed = spread**0.5 / float(cells.total), spread**1.5
    return error, 2 * third / cubed if cubed else 0.0


def skewed(normal: Array, skewness: float, seed: int) -> Array:
    """Return gamma deviates of mean 0, variance 1 and this skewness, in the order of normal ones.

    They are every eighth of as many times more draws in order, so that they carry little noise.

    >>> skewed(np.array([2.0, -2.0, 0.0]), 2.0, 0).argsort()
    array([1, 2, 0])
    """
    if abs(skewness) < STRAIGHT:
        return normal
    shape, side = 4 / skewness**2, 1.0 if skewness > 0 else -1.0
    drawn = generator(Stream.UNSEEN, seed, 10).standard_gamma(shape, 8 * len(normal))
    spaced = side * (np.sort(drawn)[4::8] - shape) / shape**0.5
    out = np.empty(len(normal))
    out[np.argsort(normal)] = np.sort(spaced)
    return out
