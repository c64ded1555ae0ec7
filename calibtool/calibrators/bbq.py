"""Bayesian binning into quantiles: equal-mass binnings averaged by how probable the rows make them
(Naeini et al. 2015).

A binning of B bins has the marginal likelihood of a beta prior of 2 rows a bin whose mean is the
bin's middle (kept within [.005, .995]), B from N^(1/3) / 10 to 10 N^(1/3), at most N / 5 and no
more than there are scores. A bin's estimate is (n1 + p0) / (n + 1), p0 the mean score of its
positives, the middle added as one. Prior, sizes and estimate are those of the authors' code
(BDeu2), without its pruning of binnings that weigh little.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Steps
from calibtool.calibrators.fitting.binning import after
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary

KEEP = 1e-12  # binnings less probable, beside the best, are left out
WITHIN = 5e-3  # a prior's mean keeps this far from 0 and 1


def fit(
    predictions: Predictions | Summary, *, multiclass: Multiclass = "one-vs-rest"
) -> Calibrator:
    """Average over binnings.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such; a
            weight counts as copies.
        multiclass: how K classes are put together.

    >>> p = Predictions.from_probs([0.9] * 10, [1] * 8 + [0] * 2)
    >>> round(float(fit(p)(p).values[0, 0]), 6)  # (8 + p0) / 11, p0 = (8 * 0.9 + 0.5) / 9
    0.805051
    """
    return fit_curves("bbq", predictions, curve, look="probs", multiclass=multiclass, options={})


def curve(cells: Cells) -> Steps:
    """The average of all binnings of cells of probabilities."""
    from scipy.special import gammaln

    at, heap = cells.at.astype(np.float64), np.cumsum(cells.n)
    rows = heap[-1]
    least = min(max(1, int(rows ** (1 / 3) / 10)), len(at))
    most = min(np.ceil(rows / 5), np.ceil(10 * rows ** (1 / 3)), len(at))
    most = max(least, int(most))
    # every binning's cuts, one after another: the last cell of each bin
    cuts, model = [], []
    for bins in range(least, most + 1):
        size = np.floor(rows / bins) if rows >= bins else rows / bins
        ends = np.searchsorted(heap, size * np.arange(1, bins) * (1 - 1e-12))
        ends = np.unique(ends[ends < len(heap) - 1])
        cuts.append(np.append(ends, len(heap) - 1))
        model.append(np.full(len(cuts[-1]), bins - least))
    last, which = np.concatenate(cuts), np.concatenate(model)
    first = np.concatenate([[0], np.where(which[1:] == which[:-1], last[:-1] + 1, 0)])

    def between(sums: np.ndarray) -> np.ndarray:
        heap = np.append(0.0, np.cumsum(sums))
        return heap[last + 1] - heap[first]

    edges = np.concatenate([[0.0], after(cells, np.arange(len(at) - 1)), [1.0]])
    middle = (edges[first] + edges[last + 1]) / 2
    n, y, positive = between(cells.n), between(cells.y), between(cells.y * at)
    p = np.clip(middle, WITHIN, 1 - WITHIN)
    score = gammaln(y + 2 * p) - gammaln(2 * p) + gammaln(n - y + 2 * (1 - p))
    score += gammaln(2.0) - gammaln(2 * (1 - p)) - gammaln(n + 2)
    total = np.bincount(which, score)
    share = np.exp(total - total.max())
    share[share < KEEP] = 0
    share /= share.sum()
    estimate = (y + (positive + middle) / (y + 1)) / (n + 1)
    # the average steps, at each cut, by what each binning steps there
    step = np.where(first > 0, np.diff(estimate, prepend=0.0), estimate) * share[which]
    values = np.cumsum(np.bincount(first, step, minlength=len(at)))
    moves = np.unique(first[share[which] > 0])
    return Steps.merged(edges[moves[1:]], np.clip(values[moves], 0, 1))
