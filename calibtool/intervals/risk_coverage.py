"""The interval of the largest share of rows that can be answered at a given error rate.

That share jumps where the risk-coverage curve crosses the rate, so that its replicates do not
scatter around the truth. The interval is made of bounds of the curve instead (Clopper & Pearson
1934), with no more errors than its level allows at any number of rows.

High: the risk at the true share is at most the rate, so that its lower bound is, too, but for the
tail. Low: risks are tested from a few fixed shares upwards, as long as their upper bound is at most
the rate. The first share at which it truly is not ends the walk but for the tail, however many are
tested (fixed sequences: Westfall & Krishen 2001; with several starts, Angelopoulos et al. 2022).
"""

from __future__ import annotations

import numpy as np

from calibtool.intervals import shares
from calibtool.types import Array

# Shares of the rows at which walks start. Each has an equal part of the tail.
STARTS = (0.125, 0.25, 0.5, 0.75)
# Part of a tail that the noise of the share itself may use up, besides the noise of the risk.
OF_SHARE = 0.2


def interval(wrong: Array, rows: Array, risk: float, level: float) -> tuple[float, float]:
    """Return the interval of the largest share of rows whose error rate is at most `risk`.

    Args:
        wrong, rows: (C,) the errors and the rows of each cell, the most confident first, as
            effective numbers where rows are weighted.
        risk: the error rate.
        level: of the interval.

    >>> low, high = interval(np.zeros(1000), np.ones(1000), 0.05, 0.95)
    >>> round(low, 3), high
    (0.995, 1.0)
    >>> low, high = interval(np.ones(1000), np.ones(1000), 0.05, 0.95)
    >>> low, round(high, 3)
    (0.0, 0.007)
    """
    tail = (1 - level) / 2
    taken = np.cumsum(rows)
    missed = np.minimum(np.cumsum(wrong), taken)  # sums of weights round
    total = float(taken[-1])
    upper = shares.upper(missed, taken, tail * (1 - OF_SHARE) / len(STARTS))
    fits = upper <= risk
    reached = 0.0
    for start in STARTS:
        first = int(np.searchsorted(taken, start * total * (1 - 1e-12)))
        broken = np.flatnonzero(~fits[first:])
        last = first + (int(broken[0]) if len(broken) else len(fits) - first)
        if last > first:
            reached = max(reached, float(taken[last - 1]))
    may = shares.lower(missed, taken, tail * (1 - OF_SHARE)) <= risk
    most = float(taken[may].max(initial=0.0))
    low = shares.lower(np.array([reached]), np.array([total]), tail * OF_SHARE)
    high = shares.upper(np.array([most]), np.array([total]), tail * OF_SHARE)
    return float(low[0]), float(high[0])
