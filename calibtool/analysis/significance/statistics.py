"""Test statistics of one score per row.

Each maps cells with leading axes of replicates to one value per replicate, which is large where
calibration is bad.
"""

from __future__ import annotations

import numpy as np

from calibtool.analysis.significance.null import SCALES
from calibtool.metrics import goodness_of_fit, logistic, norms
from calibtool.metrics.belt import belt_statistic
from calibtool.metrics.cells import Cells, locate
from calibtool.metrics.profiles import equal_mass, equal_width, profile
from calibtool.types import Array

BINS = 15  # bins of the ECE (Guo et al. 2017), the default of `ece`

# Most cells that polynomials of the logit are fitted on: the fits are iterated for every replicate,
# and within 1/512 of the rows the logit hardly varies.
_LOGISTIC = 512


def ece(cells: Cells) -> Array:
    """Return the ECE with 15 bins of equal width."""
    return norms.l1(profile(cells.pool(equal_width(cells, bins=BINS))))


def ks(cells: Cells) -> Array:
    """Return the largest absolute cumulative gap (Gupta et al. 2021)."""
    return np.asarray(np.abs(_cumulative(cells)).max(-1))


def kuiper(cells: Cells) -> Array:
    """Return the range of the cumulative gap, which starts at 0 (Arrieta-Ibarra et al. 2022)."""
    cumulative = _cumulative(cells)
    return np.asarray(np.maximum(cumulative.max(-1), 0) - np.minimum(cumulative.min(-1), 0))


def _cumulative(cells: Cells) -> Array:
    """Return (..., C) sums of outcome - score from the lowest score up, as shares of all rows."""
    cumulative = np.cumsum(cells.y - cells.p, axis=-1) / cells.total[..., None]
    return np.asarray(cumulative)


def spiegelhalter(cells: Cells) -> Array:
    """Return |Z| (Spiegelhalter 1986), so that the test is two-sided."""
    return np.asarray(np.abs(goodness_of_fit.spiegelhalter_z(cells)))


def cox(cells: Cells) -> Array:
    """Return twice the log-likelihood gain of an intercept and slope of the logit (Cox 1958)."""
    return logistic.deviance(_logistic_cells(cells))


def belt(cells: Cells) -> Array:
    """Return -log of the large-sample p-value of the calibration belt (Nattino et al. 2014).

    The statistic itself cannot be compared between replicates, because its distribution depends on
    the degree of the polynomial that was selected; the p-value accounts for the degree.
    """
    p_value = belt_statistic(_logistic_cells(cells))[2]
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(p_value))


def belt_shown(cells: Cells) -> Array:
    """Return the statistic of the calibration belt as its authors print it."""
    return belt_statistic(_logistic_cells(cells))[0]


def _logistic_cells(cells: Cells) -> Cells:
    """Return the cells, pooled to few enough to fit hundreds of polynomials on."""
    if len(cells.at) <= _LOGISTIC:
        return cells
    return cells.pool(equal_mass(cells, bins=_LOGISTIC))


def t_cal(cells: Cells) -> Array:
    """Return the adaptive T-Cal statistic (Lee, Huang, Hassani & Dobriban 2023).

    For 2, 4, 8, ... bins of equal width, the debiased plug-in estimate of the squared calibration
    error sums, over bins of n_b rows, 1/n_b times the sum over pairs i != j of
    (y_i - p_i)(y_j - p_j). Each estimate is divided by its standard deviation under calibration,
    and the largest ratio is returned; NaN where all variances are 0.

    The paper compares each number of bins with its own critical value at level / (number of
    numbers of bins). The largest standardised value needs one critical value only.
    """
    sums = _sums(cells)
    best = np.full(cells.y.shape[:-1], -np.inf)
    # more bins than rows cannot hold pairs
    scales = min(SCALES, max(1, int(np.log2(max(float(cells.total), 2)))))
    for scale in range(1, scales + 1):
        starts = _starts(cells, np.arange(1, 2**scale + 1) / 2**scale)
        n, gap, squared, variance, squares = (np.add.reduceat(x, starts, axis=-1) for x in sums)
        # Sums over pairs i != j from sums over rows: (sum x)^2 - sum x^2, with x = y - p in the
        # statistic and x = v in its variance 2 / n^2 sum over pairs v_i v_j.
        spread = (2 * (variance**2 - squares) / n**2).sum()
        if spread > 1e-12:  # bins of one row leave rounding errors of this size
            best = np.maximum(best, ((gap**2 - squared) / n).sum(-1) / np.sqrt(spread))
    return np.asarray(np.where(np.isneginf(best), np.nan, best))


def _sums(cells: Cells) -> tuple[Array, ...]:
    """Return sums over the rows of each cell: of 1, y - p, (y - p)^2, v = p (1 - p), and v^2."""
    share = cells.p / cells.n
    # (y - p)^2 = y (1 - 2 p) + p^2, since y is 0 or 1
    squared = cells.y * (1 - 2 * share) + cells.n * share**2
    variance = cells.n * share * (1 - share)
    return cells.n, cells.y - cells.p, squared, variance, cells.n * (share * (1 - share)) ** 2


def _starts(cells: Cells, edges: Array) -> Array:
    """Return the index of the first cell of each bin that holds any cell."""
    bins = locate(cells.at, edges)
    return np.flatnonzero(np.concatenate([[True], bins[1:] != bins[:-1]]))
