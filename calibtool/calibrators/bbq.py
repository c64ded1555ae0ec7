"""Bayesian binning into quantiles: equal-mass binnings, averaged by their posterior probability
(Naeini et al. 2015).

The number of bins B runs from N^(1/3) / 10 to 10 N^(1/3), but at most to N / 5 and to the number of
distinct scores. Each bin has a beta prior that weighs 2 rows and whose mean is the middle of the
bin, clipped to [.005, .995]; the priors give the marginal likelihood of a binning. The estimate of
a bin with n rows, n1 of them positives, is (n1 + p0) / (n + 1), where p0 is the mean of the scores
of the positives and, as one more score, the middle of the bin. Prior, sizes and estimate are those
of the authors' code (BDeu2), without its pruning of binnings that weigh little.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Steps
from calibtool.calibrators.fitting.binning import after
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.streaming.summary import Summary
from calibtool.types import Array

# Binnings less probable than this, relative to the best, are left out: each changes probabilities
# by at most as much, and would add its edges to the calibrator.
NEGLIGIBLE = 1e-12
WITHIN = 5e-3  # the mean of a prior keeps this far from 0 and 1, as in the authors' code


def fit(
    predictions: Predictions | Summary, *, multiclass: Multiclass = "one-vs-rest"
) -> Calibrator:
    """Average over binnings.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such. A row of
            weight w counts as w rows.
        multiclass: how K classes are put together.

    >>> p = Predictions.from_probs([0.9] * 10, [1] * 8 + [0] * 2)
    >>> round(float(fit(p)(p).values[0, 0]), 6)  # (8 + p0) / 11, p0 = (8 * 0.9 + 0.5) / 9
    0.805051
    """
    return fit_curves("bbq", predictions, curve, look="probs", multiclass=multiclass, options={})


def curve(cells: Cells) -> Steps:
    """Return the average of all binnings of cells of probabilities."""
    from calibtool.intervals.special import gammaln

    at = cells.at.astype(np.float64)
    last, which, first, n, prior = _binnings(cells.n.tobytes())

    def sum_bins(values: Array) -> Array:
        """Return the sum over each bin of one value per cell, by differences of running sums."""
        running = np.append(0.0, np.cumsum(values))
        return running[last + 1] - running[first]

    edges = np.concatenate([[0.0], after(cells, np.arange(len(at) - 1)), [1.0]])
    middle = (edges[first] + edges[last + 1]) / 2
    y, positive = sum_bins(cells.y), sum_bins(cells.y * at)
    # log marginal likelihood of y ones and n - y zeros under a Beta(2 p, 2 (1 - p)) prior
    p = np.clip(middle, WITHIN, 1 - WITHIN)
    score, some = np.zeros(len(y)), y != 0  # most bins of a class among many hold no positive
    score[some] = gammaln(y[some] + 2 * p[some]) - gammaln(2 * p[some])
    score += gammaln(n - y + 2 * (1 - p))
    score += gammaln(2.0) - gammaln(2 * (1 - p)) - prior
    total = np.bincount(which, score)
    share = np.exp(total - total.max())
    share[share < NEGLIGIBLE] = 0
    share /= share.sum()
    estimate = (y + (positive + middle) / (y + 1)) / (n + 1)
    # the average steps, at each cut, by what each binning steps there
    step = np.where(first > 0, np.diff(estimate, prepend=0.0), estimate) * share[which]
    values = np.cumsum(np.bincount(first, step, minlength=len(at)))
    moved = np.zeros(len(at), bool)
    moved[first[share[which] > 0]] = True
    moves = np.flatnonzero(moved)
    return Steps.merged(edges[moves[1:]], np.clip(values[moves], 0, 1))


@lru_cache(maxsize=4)
def _binnings(content: bytes) -> tuple[Array, Array, Array, Array, Array]:
    """Return the bins of all binnings of cells with these weights (float64), one after another.

    They are the same for all classes, if no two rows have the same score.

    Returns of each bin its last cell, the number of its binning, its first cell, its weight n, and
    log gamma(n + 2).
    """
    from calibtool.intervals.special import gammaln

    weights = np.frombuffer(content)
    below = np.cumsum(weights)
    rows = below[-1]
    min_bins = min(max(1, int(rows ** (1 / 3) / 10)), len(below))
    max_bins = min(np.ceil(rows / 5), np.ceil(10 * rows ** (1 / 3)), len(below))
    max_bins = max(min_bins, int(max_bins))
    cuts, model = [], []
    for bins in range(min_bins, max_bins + 1):
        size = np.floor(rows / bins) if rows >= bins else rows / bins
        # 1 - 1e-12: a sum of weights that rounding leaves short of `size` still fills the bin
        ends = np.searchsorted(below, size * np.arange(1, bins) * (1 - 1e-12))
        ends = ends[ends < len(below) - 1]
        cuts.append(np.append(ends[np.diff(ends, prepend=-1) > 0], len(below) - 1))
        model.append(np.full(len(cuts[-1]), bins - min_bins))
    last, which = np.concatenate(cuts), np.concatenate(model)
    first = np.concatenate([[0], np.where(which[1:] == which[:-1], last[:-1] + 1, 0)])
    running = np.append(0.0, below)
    n = running[last + 1] - running[first]
    return last, which, first, n, gammaln(n + 2)
