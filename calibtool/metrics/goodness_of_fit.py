"""Goodness-of-fit statistics of clinical prediction models: Hosmer-Lemeshow, Spiegelhalter.

Both are functions of cells. A weight counts as that many rows.
"""

from __future__ import annotations

import numpy as np

from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.profiles import equal_mass
from calibtool.types import Array


def hosmer_lemeshow(cells: Cells, *, groups: int = 10) -> Array:
    """Return the sum over groups of equal mass of (O - E)^2 / (E (1 - E/n)).

    O and E are the observed and the expected number of outcomes of a group of n rows (Hosmer &
    Lemeshow 1980). Ties stay together, so that there may be fewer groups. A group whose scores are
    all 0 or all 1 adds nothing if its outcomes are as promised, and infinity otherwise. Its p-value
    is of outcomes that are redrawn from the scores, as in `calibtool test`: chi-squared is wrong
    where scores are near 0 or 1.
    """
    pooled = cells.pool(equal_mass(cells.summed(), bins=groups))  # the same for all replicates
    gap = (pooled.y - pooled.p) ** 2
    share = np.divide(pooled.p, pooled.n, out=np.zeros_like(pooled.p), where=pooled.n > 0)
    spread = np.broadcast_to(pooled.p * (1 - share), gap.shape)
    # without variance, a gap beyond rounding (a billionth of the rows) is infinitely unlikely
    term = np.where(gap > 1e-18 * pooled.n**2, np.inf, np.zeros_like(gap))
    with np.errstate(over="ignore"):  # infinite too beside scores of 1e-300
        np.divide(gap, spread, out=term, where=spread > 0)
    return np.asarray(term.sum(-1))


def spiegelhalter_z(cells: Cells) -> Array:
    """Return the sum of (y - p)(1 - 2p) over its standard deviation under calibration.

    Standard normal if the scores are the true probabilities; positive where the Brier score is
    worse than the scores promise (Spiegelhalter 1986). A weight counts as that many rows; the
    significance test takes the sum of squared weights instead. nan where all scores are 0, 1/2 or
    1 and no outcome contradicts them.
    """
    at = cells.centres()
    turn = 1 - 2 * at
    gap = ((cells.y - cells.n * at) * turn).sum(-1)
    variance = (cells.n * (turn**2 * at * (1 - at))).sum(-1)
    # no variance: scores of 0 and 1 that are refuted are infinitely unlikely
    small = 1e-12 * cells.total
    out = np.where(np.abs(gap) > small, np.copysign(np.inf, gap), np.nan)
    np.divide(gap, np.sqrt(variance), out=out, where=variance > 0)
    return np.asarray(out)


GOODNESS_OF_FIT: tuple[CellMetric, ...] = (
    CellMetric(
        "spiegelhalter",
        "Spiegelhalter's z",
        "sum (y - p)(1 - 2p) / root of sum (1 - 2p)^2 p (1 - p); standard normal if calibrated",
        "Spiegelhalter 1986",
        spiegelhalter_z,
        better="nearer",
        ideal=0,
        view="clinical",
        sees="a Brier score worse (above 0) or better than the scores promise",
        blind="the size of the error: it grows with the root of n",
    ),
    CellMetric(
        "hosmer-lemeshow",
        "Hosmer-Lemeshow statistic",
        "sum over groups of equal mass of (observed - expected)^2 / variance; about `groups`",
        "Hosmer & Lemeshow 1980",
        hosmer_lemeshow,
        better="lower",
        least=0,
        view="clinical",
        statistic=True,
        sees="gaps in groups of equal mass",
        blind="the size of the error: it grows with n",
    ),
)
