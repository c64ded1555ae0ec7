"""Digits: numbers in pictures with as many as tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.types import Array

DECIMALS = 3  # enough for the errors and intervals of most evaluations
THIN = 0.005  # share of an axis: a narrower interval is hidden by a line in its middle
POINT = 0.014  # likewise by the smallest point, 0.34 times as large as text, on 180 points of paper
FEW = 0.25  # of the intervals: where fewer can be seen, they are mentioned
MOST = 8  # an interval narrower than this many decimals is that of other things than rows


def brief(value: float, decimals: int = DECIMALS) -> str:
    """Return a number with so many decimals, or with two digits if it would print as 0.

    >>> brief(0.06481), brief(0.00042), brief(0.0), brief(-0.00004)
    ('0.065', '0.00042', '0', '-4e-05')
    """
    if value == 0:
        return "0"
    return f"{value:.2g}" if abs(value) < 10.0**-decimals else f"{value:.{decimals}f}"


def together(values: Sequence[float], ends: tuple[float, float]) -> list[str]:
    """Return numbers and the ends of their interval, with as many decimals as it takes for a number
    to fit between the ends.

    >>> together([0.0648], (0.0553, 0.0721))
    ['0.065', '0.055', '0.072']
    >>> together([0.03712], (0.03705, 0.0372))
    ['0.0371', '0.0370', '0.0372']
    >>> together([0.0087], (2.9e-08, 0.0204))
    ['0.009', '0.000', '0.020']
    """
    low, high = ends
    decimals = DECIMALS
    while decimals < MOST and high - low > 0 and _units(low, high, decimals) < 2:
        decimals += 1
    nothing = 10.0 ** -(decimals + 2)  # beside an interval that is wider by far
    return [
        f"{0:.{decimals}f}" if 0 < abs(value) < nothing else brief(value, decimals)
        for value in (*values, low, high)
    ]


def _units(low: float, high: float, decimals: int) -> int:
    """Return how many units of the last decimal lie between two numbers as they are printed."""
    return round(high * 10**decimals) - round(low * 10**decimals)


def intervals_note(
    mark: str,
    level: float,
    low: Array,
    high: Array,
    *,
    axis: float = 1.0,
    points: bool = False,
    noun: str = "intervals",
) -> str:
    """Return what says which mark shows intervals, or that they are too narrow for it.

    Args:
        mark: how they are drawn.
        level: of the intervals.
        low, high: their ends.
        axis: length of the axis along which they are drawn.
        points: whether there is a point on each.
        noun: what they are called.

    >>> intervals_note("bars", 0.95, np.array([0.1, 0.4]), np.array([0.2, 0.401]))
    'bars: 95 % intervals'
    >>> intervals_note("bars", 0.95, np.array([0.1, 0.4]), np.array([0.101, 0.401]))
    'bars: 95 % intervals, too narrow to be seen'
    """
    wide = (high - low)[np.isfinite(high - low)]
    seen = float(np.mean(wide >= (POINT if points else THIN) * axis)) if len(wide) else 1.0
    hidden = ", too narrow to be seen" if not seen else ", most too narrow to be seen"
    return f"{mark}: {100 * level:g} % {noun}{hidden if seen < FEW else ''}"
