"""The calibration belt of an external validation (Nattino, Finazzi & Bertolini 2014)."""

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


@dataclass(frozen=True, eq=False)
class Belt:
    """The calibration belt of an external validation.

    Attributes:
        grid: (G,) scores, over the range that the rows cover.
        curve: (G,) the fitted probability.
        level: confidence levels, such as (0.8, 0.95).
        low, high: (levels, G) the band at each level.
        degree: of the polynomial that was selected.
        statistic: twice the log-likelihood gained over the diagonal.
        p_value: of the diagonal, given the selection; its large-sample value.
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
    """GiViTI calibration belt (Nattino, Finazzi & Bertolini 2014).

    The outcome is regressed on a polynomial of the logit; a power is added while the likelihood
    ratio asks for it at 5 %, up to `degree`. The band holds the curves that a likelihood ratio
    test with the same selection does not reject. Cells are pooled to 1,024.
    None where no score lies strictly between 0 and 1.
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
    for one in level:
        reach = _critical(1 - one, int(chosen) - 1)
        bands.append([_edge(known, basis, best, rows, reach, side) for side in (-1, 1)])
    low, high = (
        np.stack([_expit(x + _clean(band[side], side)) for band in bands]) for side in (0, 1)
    )
    curve = _expit(x + rows @ best.beta)
    p = 0.0 if bool(is_refuted(cells)) else float(p_value)
    return Belt(grid, curve, level, low, high, int(chosen), float(statistic), p)


def belt_statistic(cells: Cells, *, degree: int = 4) -> tuple[Array, Array, Array]:
    """Statistic, selected degree and p-value of the belt, for each replicate
    (Nattino, Finazzi & Bertolini 2014)."""
    known = finite_logits(cells)
    basis = polynomial(known, degree)
    last = fit_logistic(known, basis[:, :2])
    gain = np.array(2 * last.gain)
    chosen = np.full(gain.shape, min(basis.shape[1] - 1, 1))
    open_ = np.ones(gain.shape, bool)
    asked = _chi2_critical()
    for power in range(2, basis.shape[1]):
        if not open_.any():
            break
        part = Cells(
            known.at,
            *(_take(x, open_) for x in (known.n, known.p, known.y)),
        )
        more = 2 * fit_logistic(part, basis[:, : power + 1]).gain
        wanted = more - gain[open_] > asked
        where = np.flatnonzero(open_.reshape(-1))[np.reshape(wanted, -1)]
        gain.reshape(-1)[where] = np.reshape(more, -1)[np.reshape(wanted, -1)]
        chosen.reshape(-1)[where] = power
        open_ = np.zeros(open_.shape, bool)
        open_.reshape(-1)[where] = True
    tail = np.ones(gain.shape)
    for power in range(basis.shape[1]):
        tail[chosen == power] = belt_tail(gain[chosen == power], power - 1)
    refuted = is_refuted(cells)
    return np.where(refuted, np.inf, gain), chosen, np.where(refuted, 0.0, tail)


def belt_tail(statistic: Array, extra: int) -> Array:
    """P(statistic or more) for calibrated scores where `extra` powers were added to the line:
    chi-squared with 2 degrees of freedom, and with 1 for each power given that it exceeded the
    critical value of 5 % (Nattino, Finazzi & Bertolini 2014; here by quadrature). -1 stands
    for the constant alone, all that a single score allows: 1 degree of freedom.

    >>> belt_tail(np.array([5.991465]), 0).round(6)
    array([0.05])
    """
    t = np.asarray(statistic, np.float64)
    half_t = np.maximum(t, 0) / 2
    if extra < 0:
        return np.array([math.erfc(math.sqrt(x)) for x in half_t.flat]).reshape(t.shape)
    if not extra:
        return np.asarray(np.exp(-half_t))
    root = np.sqrt(_chi2_critical())
    node, weight = np.polynomial.legendre.leggauss(40)
    kink = np.sqrt(np.maximum(t - (extra - 1) * root**2, root**2))
    total = np.zeros(t.shape)
    for low, high in ((np.full(t.shape, root), kink), (kink, kink + 9.0)):
        half = (high - low)[..., None] / 2
        r = low[..., None] + half * (node + 1)
        density = 2 * np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi) / 0.05
        total += (half * weight * density * belt_tail(t[..., None] - r**2, extra - 1)).sum(-1)
    return np.minimum(total, 1.0)


def _chi2_critical() -> float:
    """The critical value of 5 %, chi-squared with 1 degree of freedom."""
    return 3.841458820694124


def _critical(share: float, extra: int) -> float:
    """The statistic that calibrated scores exceed with probability `share`: bisection."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        above = float(belt_tail(np.array(middle), extra)) > share
        low, high = (middle, high) if above else (low, middle)
    return high


def _take(values: Array, where: Array) -> Array:
    """The replicates of a mask; what all replicates share stays as it is."""
    return values[where] if values.ndim > 1 else values


def _interpolated(known: Cells, basis: Array, x: Array) -> Array:
    """(G, k) the basis at other logits: its columns are polynomials of the logits of the cells."""
    own = logit(known.centres())
    k = basis.shape[1]
    scale = float(np.abs(own).max()) or 1.0
    if k == 1:
        return np.full((len(x), 1), basis[0, 0])
    at = np.unique(np.linspace(0, len(own) - 1, max(8 * k, 2)).astype(int))
    fitted = np.polynomial.chebyshev.chebfit(own[at] / scale, basis[at], k - 1)
    return np.polynomial.chebyshev.chebval(x / scale, fitted).T


def _edge(
    known: Cells, basis: Array, best: Logistic, rows: Array, reach: float, side: int
) -> Array:
    """(G,) the farthest basis @ beta at each grid point whose likelihood ratio to the best is
    `reach`: the likelihood is tilted until it is. nan where it never is."""
    mean = _expit(logit(known.centres()) + basis @ best.beta)
    bend = (basis.T * (known.n * mean * (1 - mean))) @ basis
    ridge = 1e-13 * np.trace(bend) * np.eye(len(bend))
    ahead = np.linalg.solve(bend + ridge, rows.T).T
    push = np.sqrt(reach / np.maximum((ahead * rows).sum(-1), 1e-300))
    beta = np.broadcast_to(best.beta, ahead.shape)
    fall = np.zeros(len(rows))
    with np.errstate(all="ignore"):
        for _ in range(12):
            found = fit_logistic(known, basis, tilt=side * push[:, None] * rows, start=beta)
            fall = 2 * (best.gain - found.gain)
            if np.all(np.abs(fall - reach) < 1e-4 * reach):
                break
            push = push * np.clip(np.sqrt(reach / np.maximum(fall, 1e-12)), 0.2, 5.0)
    return np.where(np.abs(fall - reach) < 0.01 * reach, (found.beta * rows).sum(-1), np.nan)


def _clean(edge: Array, side: int) -> Array:
    """Where no curve is the last, the band reaches 0 or 1."""
    return np.where(np.isnan(edge), np.inf if side else -np.inf, edge)


def _expit(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))
