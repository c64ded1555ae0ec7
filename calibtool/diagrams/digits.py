"""Digits: numbers in pictures with as many as tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.types import Array

DECIMALS = 3  # enough for the errors and intervals of most evaluations
THIN = 0.005  # share of an axis: a narrower interval is hidden by the mark of its middle
MOST = 8  # an interval narrower than this many decimals is that of other things than rows


def brief(value: float, decimals: int = DECIMALS) -> str:
    """Return a number with three decimals or so, or with two digits if it would print as 0.

    >>> brief(0.06481), brief(0.00042), brief(0.0), brief(-0.00004)
    ('0.065', '0.00042', '0', '-4e-05')
    """
    if value == 0:
        return "0"
    small = abs(value) < 10.0**-DECIMALS and decimals == DECIMALS
    return f"{value:.2g}" if small else f"{value:.{decimals}f}"


def together(values: Sequence[float], ends: tuple[float, float]) -> list[str]:
    """Return numbers and the ends of their interval, with as many decimals as tell the ends apart.

    >>> together([0.0648], (0.0553, 0.0721))
    ['0.065', '0.055', '0.072']
    >>> together([0.03712], (0.03705, 0.0372))
    ['0.0371', '0.0370', '0.0372']
    """
    low, high = ends
    decimals = DECIMALS
    while low != high and decimals < MOST and brief(low, decimals) == brief(high, decimals):
        decimals += 1
    return [brief(value, decimals) for value in (*values, low, high)]


def intervals_note(mark: str, level: float, low: Array, high: Array, *, axis: float = 1.0) -> str:
    """Return what says which mark shows intervals, or that they are too narrow for it.

    Args:
        mark: how they are drawn.
        level: of the intervals.
        low, high: their ends.
        axis: length of the axis along which they are drawn.

    >>> intervals_note("bars", 0.95, np.array([0.1, 0.4]), np.array([0.2, 0.401]))
    'bars: 95 % intervals'
    >>> intervals_note("bars", 0.95, np.array([0.1, 0.4]), np.array([0.101, 0.401]))
    '95 % intervals are too narrow to be seen'
    """
    wide = np.nanmax(high - low, initial=0)
    name = f"{100 * level:g} % intervals"
    return f"{mark}: {name}" if wide >= THIN * axis else f"{name} are too narrow to be seen"
