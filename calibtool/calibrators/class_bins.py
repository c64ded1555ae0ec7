"""In which bin each class's probability lies, for curves that depend on nothing else of a score.

With many classes nearly every probability lies in the first bin, so only the others are listed. Of
logits, float32 arithmetic says where they lie, several times as fast as float64; a probability that
it places next to an edge is computed again as calibrators compute it. So every bin is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calibtool.calibrators import inputs
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.parallel import cores, ordered
from calibtool.types import Array

# Bound on the relative error of a probability in float32. An exponential is off by what rounding
# moves its exponent, at most 87 * 2^-24 where it is not 0, and a sum over classes by less: 1e-5.
ROUGH = 1e-4


class Beyond(NamedTuple):
    """The probabilities beyond the first bin: their rows, classes and bins, (m,) each."""

    row: Array
    label: Array
    bin: Array


def beyond_first(block: Predictions, edges: Array) -> Beyond:
    """Return the probabilities that lie beyond the first bin.

    Args:
        block: rows of logits or probabilities.
        edges: (B - 1,) upper edges of all bins (lo, hi] but the last, at least one.

    >>> beyond_first(Predictions.from_probs([[0.5, 0.1, 0.4]], None), np.array([0.2, 0.4])).bin
    array([2, 1])
    """
    if block.kind != "logits":
        probs = block.matrix()
        edges = edges.astype(probs.dtype)  # a float32 score 0.2 lies on the edge 1/5
        row, label = np.nonzero(probs > edges[0])
        return Beyond(row, label, np.searchsorted(edges, probs[row, label]))
    values = inputs.logits(block)
    powers = (values - values.max(axis=1, keepdims=True)).astype(np.float32, copy=False)
    with np.errstate(under="ignore"):
        np.exp(powers, out=powers)
    total = powers.sum(axis=1)
    least = total * np.float32(edges[0] * (1 - ROUGH))
    row, label = np.divmod(np.flatnonzero(powers > least[:, None]), powers.shape[1])
    p = powers[row, label] / total[row].astype(np.float64)
    bins = np.searchsorted(edges, p * (1 - ROUGH))
    unsure = np.flatnonzero(p * (1 + ROUGH) > np.append(edges, np.inf)[bins])
    if len(unsure):
        rows, where = np.unique(row[unsure], return_inverse=True)
        exact = inputs.probs(block.take(rows))[where, label[unsure]]
        bins[unsure] = np.searchsorted(edges, exact)
    at = np.flatnonzero(bins)
    return Beyond(row[at], label[at], bins[at])


def cells_of_classes(predictions: Predictions, edges: Array) -> list[Cells]:
    """Return for each class the cells of bins with these B upper edges, of rows without weights.

    Their predicted mass is not known: NaN.
    """
    assert predictions.labels is not None
    shape = int(predictions.classes or 0), len(edges)

    def count(piece: Predictions) -> tuple[Array, Array]:
        row, label, bins = beyond_first(piece, edges[:-1])
        index = label * len(edges) + bins
        return index, index[piece.labels[row] == label]  # type: ignore[index]

    n, y = np.zeros(shape), np.zeros(shape)
    for every, hits in ordered(count, inputs.pieces(predictions), cores()):
        np.add.at(n.reshape(-1), every, 1.0)
        np.add.at(y.reshape(-1), hits, 1.0)
    n[:, 0] = predictions.rows - n.sum(axis=1)  # the first bin holds the rest of the rows
    y[:, 0] = np.bincount(predictions.labels, minlength=shape[0]) - y.sum(axis=1)
    unknown = np.full(len(edges), np.nan)
    return [Cells(edges, rows, unknown, hits) for rows, hits in zip(n, y, strict=True)]


def placed(block: Predictions, edges: Array, table: Array, prior: Array) -> Array:
    """Return (N, K) probabilities: each is the value of its class and bin, and rows sum to 1.

    Args:
        block: N rows of logits or probabilities.
        edges: (B - 1,) upper edges of all bins but the last, at least one.
        table: (K, B) values.
        prior: (K,) what a row becomes whose values are all 0.
    """
    out = np.empty((block.rows, len(table)))
    first = np.ascontiguousarray(table[:, 0])
    step = max(1, inputs.PIECE // len(table))

    def fill(start: int) -> None:
        part = slice(start, start + step)
        row, label, bins = beyond_first(block.take(part), edges)
        # classes are added up one after another, as by `Curves`, which also gives the last digit
        by_class = np.repeat(first[:, None], len(out[part]), axis=1)
        by_class[label, row] = table[label, bins]
        total = by_class.sum(axis=0)
        empty = total == 0
        total[empty] = 1
        np.divide(first, total[:, None], out=out[part])
        out[part][row, label] = table[label, bins] / total[row]
        out[part][empty] = prior

    list(ordered(fill, range(0, len(out), step), cores()))
    return out
