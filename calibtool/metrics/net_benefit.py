"""Net benefit: what acting on the scores at a threshold is worth, in true positives per row.

It is a function of cells that end at the threshold. A weight counts as that many rows.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from calibtool.metrics.cells import Cells, quotient
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array

# the net benefit; divided by the outcome rate; or rows in a hundred that need not be acted on
Scale = Literal["plain", "standardised", "avoided"]
# who is acted on: rows with a score of at least the threshold, or every row
Of = Literal["model", "all"]
# Shares below this are the rounding of sums of weights.
_ROUNDING = 1e-12


def net_benefit(
    cells: Cells, *, threshold: float = 0.1, scale: Scale = "plain", of: Of = "model"
) -> Array:
    """Return TP/n - FP/n t/(1 - t), where rows with a score of at least t are acted on.

    A threshold of t says that one true positive is worth (1 - t)/t false ones: at 0.1, nine
    (Vickers & Elkin 2006). Acting on nobody has a net benefit of 0, acting on everybody that of
    `of=all`. A score equal to the threshold is acted on, as in R's and Python's dcurves; scores
    count as equal where they agree in single precision.

    `scale=standardised` divides by the outcome rate, so that it is at most 1; it is NaN where no
    row has the outcome. `scale=avoided` is (net benefit - that of all) (1 - t)/t 100: the net
    number of interventions avoided in 100 rows, against acting on everybody.

    >>> cells = Cells.from_rows(np.array([0.05, 0.1, 0.3, 0.6]), np.array([0, 0, 0, 1]))
    >>> round(float(net_benefit(cells)), 6)  # 1/4 - 2/4 * 1/9
    0.194444
    """
    acted = np.ones(len(cells.at)) if of == "all" else _reaches(cells.at, threshold)
    if scale == "avoided":
        spared = 1 - acted
        saved, missed = _share((cells.n - cells.y) * spared, cells), _share(cells.y * spared, cells)
        return np.asarray(100 * (saved - _times(missed, _odds(1 - threshold))))
    hits, misses = _share(cells.y * acted, cells), _share((cells.n - cells.y) * acted, cells)
    net = hits - _times(misses, _odds(threshold))
    return quotient(net, _share(cells.y, cells)) if scale == "standardised" else np.asarray(net)


def by_row(score: Array, outcome: Array, *, threshold: float, scale: Scale, of: Of) -> Array | None:
    """Return what each row adds, (N,), of which net benefit is the mean; None if standardised.

    >>> score, outcome = np.array([0.05, 0.1, 0.3, 0.6]), np.array([0, 0, 0, 1])
    >>> round(float(by_row(score, outcome, threshold=0.1, scale="plain", of="model").mean()), 6)
    0.194444
    """
    acted = np.ones(len(score), bool) if of == "all" else _reaches(score, threshold) > 0
    if scale == "standardised":
        return None
    if scale == "avoided":
        missed = -100 * _odds(1 - threshold)
        return np.where(acted, 0.0, np.where(outcome > 0, missed, 100.0))
    return np.where(acted, np.where(outcome > 0, 1.0, -_odds(threshold)), 0.0)


def limits(*, threshold: float, scale: Scale, of: Of) -> tuple[float, float]:
    """Return the range: the worst is to act on every row, none of which has the outcome."""
    if scale == "standardised":
        return -math.inf, 1.0
    if scale == "avoided":
        return (0.0, 100.0) if of == "all" else (-100 * _odds(1 - threshold), 100.0)
    return -_odds(threshold), 1.0


def below(threshold: float) -> float:
    """Return the largest float32 below a threshold: scores above it reach the threshold.

    One number serves scores of either precision: float32(0.1) reaches 0.1, and so does a float64
    0.09999999999999999, the rounding of what was computed as 0.1.
    """
    return float(np.nextafter(np.float32(threshold), np.float32(-1)))


def cut(*, threshold: float, of: Of = "model", **_: object) -> tuple[float, ...]:
    """Return where cells have to end; nowhere where every row is acted on."""
    return (below(threshold),) if threshold > 0 and of == "model" else ()


def _reaches(at: Array, threshold: float) -> Array:
    """Return 1 for the cells that are acted on, (C,)."""
    return (at.astype(np.float64) > below(threshold)).astype(np.float64)


def _share(values: Array, cells: Cells) -> Array:
    """Return the sum of values by cell over the weight of all rows, (...)."""
    return np.asarray(values.sum(axis=-1) / cells.total)


def _odds(share: float) -> float:
    """Return share / (1 - share), infinite for 1."""
    return share / (1 - share) if share < 1 else math.inf


def _times(share: Array, odds: float) -> Array:
    """Return a share times odds: 0 where the share is 0, whatever the odds."""
    some = share > _ROUNDING
    return np.multiply(share, odds, out=np.zeros_like(share), where=some)


NET_BENEFIT = CellMetric(
    "net-benefit",
    "Net benefit",
    "TP/n - FP/n t/(1 - t), acting on scores of at least the threshold t",
    "Vickers & Elkin 2006; standardised: Kerr et al. 2016; avoided: Vickers et al. 2008",
    net_benefit,
    better="higher",
    view="clinical",
    limits=limits,
    cuts=cut,
    by_row=by_row,
    sees="calibration and discrimination together, as far as they change a decision at `threshold`",
    blind="what the scores are, as long as they stay on their side of the threshold",
)
