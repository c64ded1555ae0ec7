"""Statistics of one score a row: cells to a value a replicate, large where calibration is bad."""

from __future__ import annotations

import numpy as np

from calibtool.analysis.significance.null import SCALES
from calibtool.metrics import goodness_of_fit, logistic, norms
from calibtool.metrics.belt import belt_statistic
from calibtool.metrics.cells import Cells, locate
from calibtool.metrics.profiles import equal_mass, equal_width, profile
from calibtool.types import Array

BINS = 15

_LOGISTIC = 512  # cells that polynomials of the logit are fitted on


def ece(cells: Cells) -> Array:
    """Of 15 bins of equal width."""
    return norms.l1(profile(cells.pool(equal_width(cells, bins=BINS))))


def ks(cells: Cells) -> Array:
    """The largest cumulative gap."""
    return np.asarray(np.abs(_cumulative(cells)).max(-1))


def kuiper(cells: Cells) -> Array:
    """The range of the cumulative gap, which starts at 0."""
    heap = _cumulative(cells)
    return np.asarray(np.maximum(heap.max(-1), 0) - np.minimum(heap.min(-1), 0))


def _cumulative(cells: Cells) -> Array:
    """Sums of outcome - score from the lowest score up, as shares of all rows."""
    heap = np.cumsum(cells.y - cells.p, axis=-1) / cells.total[..., None]
    return np.asarray(heap)


def spiegelhalter(cells: Cells) -> Array:
    """|Z|. Its denominator does not depend on the outcomes."""
    return np.asarray(np.abs(goodness_of_fit.spiegelhalter_z(cells)))


def cox(cells: Cells) -> Array:
    """Twice the log-likelihood that an intercept and a slope of the logit gain."""
    return logistic.deviance(_logistic_cells(cells))


def belt(cells: Cells) -> Array:
    """-log of its large-sample p-value, which takes account of the degree that was selected."""
    p_value = belt_statistic(_logistic_cells(cells))[2]
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(p_value))


def belt_shown(cells: Cells) -> Array:
    """The belt's statistic as its authors print it."""
    return belt_statistic(_logistic_cells(cells))[0]


def _logistic_cells(cells: Cells) -> Cells:
    """Few enough to fit hundreds of polynomials on."""
    if len(cells.at) <= _LOGISTIC:
        return cells
    return cells.pool(equal_mass(cells, bins=_LOGISTIC))


def t_cal(cells: Cells) -> Array:
    """The largest, over 2, 4, 8, ... bins of equal width, of the debiased plug-in estimate of the
    squared calibration error in its standard deviations under calibration: for each bin of n_b
    rows 1/n_b times the sum over pairs i != j of (y_i - p_i)(y_j - p_j)
    (Lee, Huang, Hassani & Dobriban 2023).

    The paper holds each number of bins to its own critical value at level / numbers; the largest
    of standardised values needs one.
    """
    sums = _sums(cells)
    best = np.full(cells.y.shape[:-1], -np.inf)
    most = min(SCALES, max(1, int(np.log2(max(float(cells.total), 2)))))
    for scale in range(1, most + 1):
        starts = _starts(cells, np.arange(1, 2**scale + 1) / 2**scale)
        n, gap, own, variance, squares = (np.add.reduceat(x, starts, axis=-1) for x in sums)
        spread = (2 * (variance**2 - squares) / n**2).sum()
        if spread > 1e-12:
            best = np.maximum(best, ((gap**2 - own) / n).sum(-1) / np.sqrt(spread))
    return np.asarray(np.where(np.isneginf(best), np.nan, best))


def _sums(cells: Cells) -> tuple[Array, ...]:
    """Of the rows of each cell: 1, y - p, (y - p)^2, its expectation v, and v^2."""
    share = cells.p / cells.n
    own = cells.y * (1 - 2 * share) + cells.n * share**2
    variance = cells.n * share * (1 - share)
    return cells.n, cells.y - cells.p, own, variance, cells.n * (share * (1 - share)) ** 2


def _starts(cells: Cells, edges: Array) -> Array:
    """The first cell of each bin that has one."""
    bin_ = locate(cells.at, edges)
    return np.flatnonzero(np.concatenate([[True], bin_[1:] != bin_[:-1]]))
