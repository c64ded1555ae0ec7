"""When a change came, and where in the scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.analysis.monitoring.period import Part, Period
from calibtool.metrics.cells import Cells
from calibtool.types import Array

_TENTHS = np.arange(1, 11) / 10
_SURE = 0.95


def change_of(when: Array) -> tuple[int, int, int]:
    """The most probable period, and the first and last of the smallest set of periods that
    together are 95 % as probable as all.

    >>> change_of(np.array([0.0, 0.01, 0.9, 0.08, 0.01]))
    (2, 2, 3)
    """
    order = np.argsort(-when, kind="stable")
    heap = np.cumsum(when[order])
    held = order[: int(np.searchsorted(heap, _SURE * heap[-1])) + 1]
    return int(order[0]), int(held.min()), int(held.max())


def parts_of(periods: Sequence[Period], since: int, against: str) -> tuple[Part, ...]:
    """Tenths of the scores before and since, those whose gap has changed most surely first; where
    there is nothing before, or scores are held to be calibrated, those whose gap is surest."""
    now = _pooled(periods[since:])
    then = _pooled(periods[:since])
    found = []
    for k in range(len(_TENTHS)):
        a, b = ([float(c[k]) for c in (x.n, x.p, x.y)] for x in (then, now))
        if not b[0] or (against == "first" and not a[0]):
            continue
        gap, spread = (b[2] - b[1]) / b[0], _variance(*b)
        if against == "first":
            gap -= (a[2] - a[1]) / a[0]
            spread += _variance(*a)
        count = a[0] or 1.0
        found.append(
            Part(
                low=k / 10,
                high=(k + 1) / 10,
                rows=int(a[0]),
                said=a[1] / count,
                was=a[2] / count,
                rows_since=int(b[0]),
                said_since=b[1] / b[0],
                was_since=b[2] / b[0],
                z=gap / spread**0.5,
            )
        )
    return tuple(sorted(found, key=lambda part: -abs(part.z)))


def _pooled(periods: Sequence[Period]) -> Cells:
    if not periods:
        return Cells(_TENTHS, *(np.zeros(len(_TENTHS)) for _ in range(3)))
    every = [period.cells for period in periods]
    n, p, y = (np.sum([getattr(c, name) for c in every], axis=0) for name in "npy")
    return Cells(every[0].at, n, p, y).pool(_TENTHS)


def _variance(n: float, p: float, y: float) -> float:
    """Of a mean outcome, with one more row at the mean score so that it is never 0."""
    rate = (y + p / n) / (n + 1)
    return max(rate * (1 - rate), 1e-9) / n
