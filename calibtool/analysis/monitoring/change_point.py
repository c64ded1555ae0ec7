"""When calibration changed, and at which scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.analysis.monitoring.period import Period, ScoreRange
from calibtool.metrics.cells import Cells
from calibtool.types import Array

_TENTHS = np.arange(1, 11) / 10
_SURE = 0.95  # probability of the set of periods that is reported
_LEAST_VARIANCE = 1e-9  # of one outcome; keeps z finite where all scores are 0 or 1


def change_of(when: Array) -> tuple[int, int, int]:
    """Return when the change most probably came: a period, and the range around it.

    Args:
        when: (T,) posterior probability of a change with each period.

    Returns the number of the most probable period, and the first and last number of the smallest
    set of periods with 95 % of the probability of a change.

    >>> change_of(np.array([0.0, 0.01, 0.9, 0.08, 0.01]))
    (2, 2, 3)
    """
    order = np.argsort(-when, kind="stable")
    cumulative = np.cumsum(when[order])
    probable = order[: int(np.searchsorted(cumulative, _SURE * cumulative[-1])) + 1]
    return int(order[0]), int(probable.min()), int(probable.max())


def parts_of(periods: Sequence[Period], since: int, against: str) -> tuple[ScoreRange, ...]:
    """Return tenths of the scores before and since the change, the most changed first.

    Args:
        periods: all periods.
        since: number of the first period after the change.
        against: "first" to rank by the change of the gap, "calibrated" to rank by the gap since.

    Tenths without rows to compare are left out.
    """
    now = _pooled(periods[since:])
    then = _pooled(periods[:since])
    ranges = []
    for k in range(len(_TENTHS)):
        (n, p, y), (n_since, p_since, y_since) = (
            [float(sums[k]) for sums in (cells.n, cells.p, cells.y)] for cells in (then, now)
        )
        if not n_since or (against == "first" and not n):
            continue
        gap, variance = (y_since - p_since) / n_since, _variance(n_since, p_since, y_since)
        if against == "first":
            gap -= (y - p) / n
            variance += _variance(n, p, y)
        ranges.append(
            ScoreRange(
                low=k / 10,
                high=(k + 1) / 10,
                rows=int(n),
                said=p / (n or 1.0),
                was=y / (n or 1.0),
                rows_since=int(n_since),
                said_since=p_since / n_since,
                was_since=y_since / n_since,
                z=gap / variance**0.5,
            )
        )
    return tuple(sorted(ranges, key=lambda part: -abs(part.z)))


def _pooled(periods: Sequence[Period]) -> Cells:
    """Return the sums of all periods in tenths of the scores."""
    if not periods:
        return Cells(_TENTHS, *(np.zeros(len(_TENTHS)) for _ in range(3)))
    cells = [period.cells for period in periods]
    n, p, y = (np.sum([getattr(c, name) for c in cells], axis=0) for name in "npy")
    return Cells(cells[0].at, n, p, y).pool(_TENTHS)


def _variance(n: float, p: float, y: float) -> float:
    """Return the variance of the mean outcome of n rows with score mass p and outcome mass y.

    One more row with the mean score is added, so that the variance is not 0 where all outcomes are
    equal.
    """
    rate = (y + p / n) / (n + 1)
    return max(rate * (1 - rate), _LEAST_VARIANCE) / n
