"""probcal's smoothed error: gaps smoothed by a Gaussian over the logits, on a lattice.

All constants here are those of the library, version 0.4.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from calibtool.types import Array


def smooth_logit(score: Array, outcome: Array) -> float:
    """Return the width at which the smoothed gaps sum to the width.

    The gaps are smoothed by a Gaussian of that width over the logits, without reflection, on a
    lattice of 8,192 cells, or of as many as leave 8 per width.
    """
    p = np.clip(score.astype(np.float64), 1e-12, 1 - 1e-12)
    z, mass = np.log(p) - np.log1p(-p), (outcome - p) / len(p)
    span, cells = float(np.ptp(z)), 8192
    for _ in range(2):
        if span == 0 or cells > 1 << 20:
            break
        cell = np.clip(((z - z.min()) / (span / cells)).astype(int), 0, cells - 1)
        lattice = np.bincount(cell, weights=mass, minlength=cells)
        value, width = _fixed_point(partial(_on_lattice, lattice, span / cells))
        if width >= 8 * span / cells:
            return value
        cells = math.ceil(span / (width / 8))
    return _fixed_point(partial(_between_points, z, mass))[0]


def _fixed_point(at: Callable[[float], float]) -> tuple[float, float]:
    """Return value and width where at(width) = width, to 1e-4."""
    low, high = 1e-4, 2.0
    if at(low) <= low:
        return at(low), low
    while high - low >= 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) > middle else (low, middle)
    return (low + high) / 2, (low + high) / 2


def _on_lattice(lattice: Array, cell: float, width: float) -> float:
    """Return the integral of |smoothed mass|, with cells joined so that 8 are left per width."""
    joined = max(1, int(width / (8 * cell)))
    lattice = np.pad(lattice, (0, -len(lattice) % joined)).reshape(-1, joined).sum(axis=1)
    cell = cell * joined
    if 5 * width <= cell:
        return float(np.abs(lattice).sum())
    reach = math.ceil(5 * width / cell)
    x = np.arange(-reach, reach + 1) * cell / width
    taps = np.exp(-(x**2) / 2) / (width * math.sqrt(2 * math.pi))
    return float(cell * np.abs(np.convolve(lattice, taps)).sum())


def _between_points(z: Array, mass: Array, width: float) -> float:
    """Return the integral of |smoothed mass| by 256 trapezoids."""
    grid = np.linspace(z.min() - 5 * width, z.max() + 5 * width, 257)
    x = (grid[:, None] - z) / width
    smoothed = np.exp(-(x**2) / 2) / (width * math.sqrt(2 * math.pi)) @ mass
    return float(np.trapezoid(np.abs(smoothed), grid))
