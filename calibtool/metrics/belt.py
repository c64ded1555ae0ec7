"""The calibration belt of an external validation (Nattino, Finazzi & Bertolini 2014).

The outcome is regressed on a polynomial of the logit of the score, whose degree is selected by
likelihood ratio tests. The belt's p-value takes the selection into account.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calibtool.metrics.cells import Cells
from calibtool.metrics.logistic import (
    Logistic,
    finite_logits,
    fit_logistic,
    is_refuted,
    logit,
    polynomial,
)
from calibtool.metrics.profiles import coarsen
from calibtool.types import Array

# The level at which powers are added, and its critical value, chi-squared with 1 degree of freedom.
_LEVEL = 0.05
_CRITICAL = 3.841458820694124


@dataclass(frozen=True, eq=False)
class Belt:
    """A calibration belt.

    Attributes:
        grid: (G,) scores, over the range that the rows cover.
        curve: (G,) the fitted probability.
        level: confidence levels, such as (0.8, 0.95).
        low, high: (levels, G) the band at each level.
        degree: of the selected polynomial.
        statistic: twice the log-likelihood gained over the diagonal.
        p_value: of the diagonal, given the selection, in large samples.
    """

    grid: Array
    curve: Array
    level: tuple[float, ...]
    low: Array
    high: Array
    degree: int
    statistic: float
    p_value: float


def fit_belt(
    cells: Cells, *, level: tuple[float, ...] = (0.8, 0.95), degree: int = 4, points: int = 101
) -> Belt | None:
    """Return the GiViTI calibration belt (Nattino, Finazzi & Bertolini 2014).

    The outcome is regressed on a polynomial of the logit. Powers are added while a likelihood ratio
    test at 5 % asks for the next, up to `degree`. The band holds the curves that a likelihood ratio
    test with the same selection does not reject. Cells are pooled to 1,024.

    Args:
        cells: without leading axes.
        level: confidence levels of the bands, increasing.
        degree: the largest degree of the polynomial.
        points: of the grid.

    Returns None where no score lies strictly between 0 and 1.
    """
    known = finite_logits(coarsen(cells, cells.n))
    if not len(known.at):
        return None
    statistic, chosen, p_value = belt_statistic(known, degree=degree)
    basis = polynomial(known, int(chosen))
    ends = known.centres()[[0, -1]]
    grid = np.linspace(ends[0], ends[1], points if ends[1] > ends[0] else 1)
    x = logit(grid)
    rows = _interpolated(known, basis, x)
    best = fit_logistic(known, basis)
    bands = []
    for share in level:
        reach = _critical(1 - share, int(chosen) - 1)
        bands.append([_edge(known, basis, best, rows, reach, side) for side in (-1, 1)])
    low, high = (
        np.stack([_expit(x + _clean(band[side], side)) for band in bands]) for side in (0, 1)
    )
    curve = _expit(x + rows @ best.beta)
    p = 0.0 if bool(is_refuted(cells)) else float(p_value)
    return Belt(grid, curve, level, low, high, int(chosen), float(statistic), p)


def belt_statistic(cells: Cells, *, degree: int = 4) -> tuple[Array, Array, Array]:
    """Return statistic, selected degree and p-value of the belt, (...) each.

    The statistic is twice the log-likelihood gained over the diagonal (Nattino, Finazzi & Bertolini
    2014). Where a score of 0 or 1 is refuted it is infinite and the p-value 0.
    """
    known = finite_logits(cells)
    basis = polynomial(known, degree)
    last = fit_logistic(known, basis[:, :2])
    gain = np.array(2 * last.gain)
    chosen = np.full(gain.shape, min(basis.shape[1] - 1, 1))
    open_ = np.ones(gain.shape, bool)
    for power in range(2, basis.shape[1]):
        if not open_.any():
            break
        remaining = Cells(known.at, *(_take(x, open_) for x in (known.n, known.p, known.y)))
        more = 2 * fit_logistic(remaining, basis[:, : power + 1]).gain
        better = more - gain[open_] > _CRITICAL
        where = np.flatnonzero(open_.reshape(-1))[np.reshape(better, -1)]
        gain.reshape(-1)[where] = np.reshape(more, -1)[np.reshape(better, -1)]
        chosen.reshape(-1)[where] = power
        open_ = np.zeros(open_.shape, bool)
        open_.reshape(-1)[where] = True
    tail = np.ones(gain.shape)
    for power in range(basis.shape[1]):
        tail[chosen == power] = belt_tail(gain[chosen == power], power - 1)
    refuted = is_refuted(cells)
    return np.where(refuted, np.inf, gain), chosen, np.where(refuted, 0.0, tail)


def belt_tail(statistic: Array, extra: int) -> Array:
    """Return the probability, for calibrated scores, of a statistic at least this large.

    With `extra` powers added to the line, the statistic is the sum of a chi-squared with 2 degrees
    of freedom and, per power, one with 1 degree of freedom given that it exceeded the critical
    value of 5 % (Nattino, Finazzi & Bertolini 2014; here by quadrature). -1 stands for the constant
    alone, which is all that a single score allows: 1 degree of freedom.

    >>> belt_tail(np.array([5.991465]), 0).round(6)
    array([0.05])
    """
    t = np.asarray(statistic, np.float64)
    half_t = np.maximum(t, 0) / 2
    if extra < 0:
        return np.array([math.erfc(math.sqrt(x)) for x in half_t.flat]).reshape(t.shape)
    if not extra:
        return np.asarray(np.exp(-half_t))
    # Integrate over r, the root of the last power's share: P(T >= t) is the mean over r, a normal
    # deviate given |r| > root, of P(T' >= t - r^2) with one power less. That is 1 once t - r^2 is
    # below the minimum of the other powers, (extra - 1) root^2: a kink, at which the range is
    # split. 9 beyond it, the density is below exp(-(root + 9)^2 / 2) = 1e-26.
    root = np.sqrt(_CRITICAL)
    node, weight = np.polynomial.legendre.leggauss(40)
    kink = np.sqrt(np.maximum(t - (extra - 1) * root**2, root**2))
    total = np.zeros(t.shape)
    for low, high in ((np.full(t.shape, root), kink), (kink, kink + 9.0)):
        half = (high - low)[..., None] / 2
        r = low[..., None] + half * (node + 1)
        density = 2 * np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi) / _LEVEL
        total += (half * weight * density * belt_tail(t[..., None] - r**2, extra - 1)).sum(-1)
    return np.minimum(total, 1.0)


def _critical(share: float, extra: int) -> float:
    """Return the statistic that calibrated scores exceed with probability `share`."""
    low, high = 0.0, 100.0  # with 4 powers at most, 100 is exceeded with a probability below 1e-15
    for _ in range(60):  # bisection to the last digit
        middle = (low + high) / 2
        above = float(belt_tail(np.array(middle), extra)) > share
        low, high = (middle, high) if above else (low, middle)
    return high


def _take(values: Array, where: Array) -> Array:
    """Return the replicates of a mask; values without leading axes are shared by all."""
    return values[where] if values.ndim > 1 else values


def _interpolated(known: Cells, basis: Array, x: Array) -> Array:
    """Return the basis at other logits `x`, (G, k).

    Its columns are polynomials of degree below k of the cells' logits, so that a fit to 8 cells per
    column is exact; Chebyshev polynomials keep it well-conditioned.
    """
    at_cells = logit(known.centres())
    k = basis.shape[1]
    scale = float(np.abs(at_cells).max()) or 1.0
    if k == 1:
        return np.full((len(x), 1), basis[0, 0])
    at = np.unique(np.linspace(0, len(at_cells) - 1, max(8 * k, 2)).astype(int))
    fitted = np.polynomial.chebyshev.chebfit(at_cells[at] / scale, basis[at], k - 1)
    return np.polynomial.chebyshev.chebval(x / scale, fitted).T


def _edge(
    known: Cells, basis: Array, best: Logistic, rows: Array, reach: float, side: int
) -> Array:
    """Return the band's edge on the logit scale at each grid point, (G,), relative to the scores.

    It is the largest (side 1) or smallest (side -1) row @ beta whose likelihood ratio to the best
    is `reach`. By Lagrange, it maximises the log-likelihood plus side * push * row @ beta for some
    push: the push is adjusted until the ratio is met. nan where it never is.
    """
    mean = _expit(logit(known.centres()) + basis @ best.beta)
    bend = (basis.T * (known.n * mean * (1 - mean))) @ basis
    ridge = 1e-13 * np.trace(bend) * np.eye(len(bend))
    ahead = np.linalg.solve(bend + ridge, rows.T).T
    # exact where the log-likelihood is a parabola: twice the fall is push^2 row' bend^-1 row
    push = np.sqrt(reach / np.maximum((ahead * rows).sum(-1), 1e-300))
    beta = np.broadcast_to(best.beta, ahead.shape)
    fall = np.zeros(len(rows))
    # The fall grows about as push^2, so that few steps are needed; the clip keeps a step within the
    # range in which that holds. Within 1 % of `reach`, the edge is off by half a percent of the
    # band, less than a drawn line shows.
    with np.errstate(all="ignore"):
        for _ in range(12):
            fit = fit_logistic(known, basis, tilt=side * push[:, None] * rows, start=beta)
            fall = 2 * (best.gain - fit.gain)
            if np.all(np.abs(fall - reach) < 1e-4 * reach):
                break
            push = push * np.clip(np.sqrt(reach / np.maximum(fall, 1e-12)), 0.2, 5.0)
    return np.where(np.abs(fall - reach) < 0.01 * reach, (fit.beta * rows).sum(-1), np.nan)


def _clean(edge: Array, side: int) -> Array:
    """Return the edge with nan replaced: where no curve is farthest, the band reaches 0 or 1."""
    return np.where(np.isnan(edge), np.inf if side else -np.inf, edge)


def _expit(x: Array) -> Array:
    """Return the inverse of the logit."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))
