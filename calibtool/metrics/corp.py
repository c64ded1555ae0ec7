"""CORP: what isotonic recalibration would gain, and the decomposition of a score that goes with it
(Dimitriadis, Gneiting & Jordan 2021). Mean score = MCB - DSC + UNC."""

from __future__ import annotations

from typing import Literal

import numpy as np

from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array

Rule = Literal["brier", "log"]


def mcb(cells: Cells, *, score: Rule = "brier") -> Array:
    """Miscalibration: mean score of the scores less that of their isotonic recalibration.

    >>> round(float(mcb(Cells.from_rows(np.array([0.2, 0.8]), np.array([0, 1])))), 3)
    0.04
    """
    return _mean(cells, _scores(cells), score) - _mean(cells, isotonic(cells), score)


def dsc(cells: Cells, *, score: Rule = "brier") -> Array:
    """Discrimination: mean score of the overall rate less that of the recalibrated scores."""
    return unc(cells, score=score) - _mean(cells, isotonic(cells), score)


def unc(cells: Cells, *, score: Rule = "brier") -> Array:
    """Uncertainty: mean score of the overall rate of the outcome."""
    rate = (cells.y.sum(axis=-1) / cells.total)[..., None]
    return _mean(cells, np.broadcast_to(rate, cells.n.shape), score)


def isotonic(cells: Cells) -> Array:
    """The non-decreasing recalibration of each cell's score that fits the outcomes best, (..., C);
    cells of one centre are one."""
    from scipy.optimize import isotonic_regression

    n = cells.n.reshape(-1, cells.n.shape[-1])
    y = cells.y.reshape(n.shape)
    out = np.empty(n.shape)
    for row in range(len(n)):
        used = n[row] > 0
        rate = y[row, used] / n[row, used]
        fit = isotonic_regression(rate, weights=n[row, used]).x
        out[row] = np.interp(np.arange(len(used)), np.flatnonzero(used), fit)
    return out.reshape(cells.n.shape)


def _scores(cells: Cells) -> Array:
    """Mean score of each cell, (..., C)."""
    return np.divide(cells.p, cells.n, out=np.zeros_like(cells.p), where=cells.n > 0)


def _mean(cells: Cells, q: Array, score: Rule) -> Array:
    """Mean score of the outcomes under probabilities q. For the Brier score of scores that differ
    within a cell, the cell's mean stands for them."""
    if score == "brier":
        total = (cells.n * q * q - 2 * cells.y * q + cells.y).sum(axis=-1)
    else:
        total = -(_xlog(cells.y, q) + _xlog(cells.n - cells.y, 1 - q)).sum(axis=-1)
    return np.asarray(total / cells.total)


def _xlog(x: Array, q: Array) -> Array:
    """X log q, 0 where x is 0 (or rounding above it)."""
    some = x > 1e-12
    with np.errstate(divide="ignore"):
        logs = np.log(q, out=np.zeros(np.broadcast_shapes(x.shape, q.shape)), where=some)
    return np.asarray(np.where(some, x * logs, 0.0))


MCB = CellMetric(
    "mcb",
    "Miscalibration (CORP)",
    "mean score - mean score after isotonic recalibration",
    "Dimitriadis et al. 2021",
    mcb,
    error=True,
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
        biased=True,
        better="higher",
        sees="what the order of the scores is worth, in the units of the score",
        blind="calibration",
    ),
    CellMetric(
        "unc",
        "Uncertainty (CORP)",
        "mean score of the overall rate",
        "Dimitriadis et al. 2021",
        unc,
        least=0,
        better="",
        sees="the data alone",
        blind="the model, but for its predicted classes in the top view",
    ),
)
