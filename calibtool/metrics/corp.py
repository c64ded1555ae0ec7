"""CORP: what isotonic recalibration would gain, and the decomposition of a score by it.

Mean score = MCB - DSC + UNC (Dimitriadis, Gneiting & Jordan 2021).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from calibtool.intervals.scipy_parts import isotonic_regression
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array

Rule = Literal["brier", "log"]


def mcb(cells: Cells, *, score: Rule = "brier") -> Array:
    """Return the miscalibration: mean score minus that after isotonic recalibration.

    `score` is the Brier score, (p - y)^2, or the logarithmic score, -ln p(y).

    >>> round(float(mcb(Cells.from_rows(np.array([0.2, 0.8]), np.array([0, 1])))), 3)
    0.04
    """
    return _mean(cells, _scores(cells), score) - _mean(cells, isotonic(cells), score)


def dsc(cells: Cells, *, score: Rule = "brier") -> Array:
    """Return the discrimination: mean score of the overall rate minus that after recalibration."""
    return unc(cells, score=score) - _mean(cells, isotonic(cells), score)


def unc(cells: Cells, *, score: Rule = "brier") -> Array:
    """Return the uncertainty: mean score of a forecast of the overall outcome rate."""
    rate = (cells.y.sum(axis=-1) / cells.total)[..., None]
    return _mean(cells, np.broadcast_to(rate, cells.n.shape), score)


def isotonic(cells: Cells) -> Array:
    """Return the isotonic recalibration of each cell's score, (..., C).

    That is the non-decreasing function of the cells which fits the outcomes best, by least squares.
    Empty cells are interpolated.
    """
    return cells.once("isotonic", lambda: _isotonic(cells))


def _isotonic(cells: Cells) -> Array:
    size = cells.n.shape[-1]
    n, y = cells.n.reshape(-1, size), cells.y.reshape(-1, size)
    used = n > 0
    # All replicates are fitted in one call, which takes longer to begin than to fit one of them. A
    # NaN after each, which compares as neither above nor below, keeps the next one's apart.
    apart = np.ones((len(n), 1))
    fitted = np.append(used, apart > 0, axis=1)
    rate = np.divide(y, n, out=np.zeros(n.shape), where=used)
    rate, weights = np.append(rate, np.nan * apart, axis=1), np.append(n, apart, axis=1)
    rate[fitted] = isotonic_regression(rate[fitted], weights[fitted])[0]
    out = np.ascontiguousarray(rate[:, :size])
    for row in np.flatnonzero(~used.all(axis=1)):
        at = np.flatnonzero(used[row])
        out[row] = np.interp(np.arange(size), at, out[row, at])
    return out.reshape(cells.n.shape)


def unc_limits(*, score: Rule = "brier") -> tuple[float, float]:
    """Return the range of UNC and DSC: what a forecast of 1/2 scores is the most."""
    return 0.0, 0.25 if score == "brier" else math.log(2)


def mcb_limits(*, score: Rule = "brier") -> tuple[float, float]:
    """Return the range of MCB."""
    return 0.0, 1.0 if score == "brier" else math.inf


def _scores(cells: Cells) -> Array:
    """Return the mean score of each cell, (..., C), and 0 where it is empty."""
    return np.divide(cells.p, cells.n, out=np.zeros_like(cells.p), where=cells.n > 0)


def _mean(cells: Cells, q: Array, score: Rule) -> Array:
    """Return the mean score of the outcomes, (...), if the probability of each cell is q, (..., C).

    Where scores differ within a cell, its mean score stands for them.
    """
    if score == "brier":
        total = (cells.n * q * q - 2 * cells.y * q + cells.y).sum(axis=-1)
    else:
        total = -(_xlog(cells.y, q) + _xlog(cells.n - cells.y, 1 - q)).sum(axis=-1)
    return np.asarray(total / cells.total)


def _xlog(x: Array, q: Array) -> Array:
    """Return x log q, and 0 where x is 0 or rounding above it."""
    positive = x > 1e-12
    with np.errstate(divide="ignore"):
        logs = np.log(q, out=np.zeros(np.broadcast_shapes(x.shape, q.shape)), where=positive)
    return np.asarray(np.where(positive, x * logs, 0.0))


MCB = CellMetric(
    "mcb",
    "Miscalibration (CORP)",
    "mean score - mean score after isotonic recalibration",
    "Dimitriadis et al. 2021",
    mcb,
    error=True,
    ideal=0,
    least=0,
    limits=mcb_limits,
    counterpart="dsc",
    shifted=lambda cells, gap, *, score: gap * gap * (1 if score == "brier" else 2),
    sees="what recalibration that keeps the order would gain, in the units of the score",
    blind="calibration curves that fall",
)
DECOMPOSITION: tuple[CellMetric, ...] = (
    CellMetric(
        "dsc",
        "Discrimination (CORP)",
        "mean score of the overall rate - mean score after isotonic recalibration",
        "Dimitriadis et al. 2021",
        dsc,
        least=0,
        limits=unc_limits,
        counterpart="mcb",
        biased=True,
        better="higher",
        sees="the value of the order of the scores, in the units of the score",
        blind="calibration",
    ),
    CellMetric(
        "unc",
        "Uncertainty (CORP)",
        "mean score of the overall rate",
        "Dimitriadis et al. 2021",
        unc,
        least=0,
        limits=unc_limits,
        better="",
        sees="the data alone",
        blind="the model, except for its predicted classes in the top view",
    ),
)
