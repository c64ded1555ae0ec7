"""The bias of the scores in cells, and its standard error.

A file of its own, since periods that are monitored need no other metric: importing all takes long.
"""

from __future__ import annotations

import math

import numpy as np

from calibtool.metrics.cells import Cells


def bias_and_error(cells: Cells) -> tuple[float, float]:
    """Return mean score minus mean outcome, and its standard error."""
    return biases_and_errors(Cells(cells.at, cells.n[None], cells.p[None], cells.y[None]))[0]


def biases_and_errors(cells: Cells) -> list[tuple[float, float]]:
    """Return mean score minus mean outcome, and its standard error, of each of stacked cells.

    Every row counts as its cell's mean score s: of its y positive outcomes the squared difference
    from the score is (1 - s)**2, of the others s**2.

    Args:
        cells: (S, C).
    """
    n, p, y = cells.n, cells.p, cells.y
    s = np.repeat(cells.at.astype(np.float64)[None], len(n), axis=0)
    np.divide(p, n, out=s, where=n > 0)
    squares = (y * (1 - s) ** 2 + (n - y) * s**2).sum(axis=-1)
    sums = ((p - y).sum(axis=-1), squares, cells.total)
    found = []
    for residual, square, total in zip(*(x.tolist() for x in sums), strict=True):
        value = residual / total
        variance = max(square / total**2 - value**2 / total, 0.0)
        found.append((value, math.sqrt(variance)))
    return found
