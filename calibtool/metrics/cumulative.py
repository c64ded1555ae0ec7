"""Errors of cumulative gaps, without bins or bandwidth: Kolmogorov-Smirnov, Kuiper."""

from __future__ import annotations

import numpy as np

from calibtool.metrics.cells import Cells, same_shift
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array


def cumulative(cells: Cells) -> Array:
    """Return the sum of gaps up to each cell, (..., C), as a share of the weight of all rows.

    Gupta et al. 2021, eq. 11; Arrieta-Ibarra et al. 2022, eq. 5.
    """
    return np.asarray(np.cumsum(cells.y - cells.p, axis=-1) / cells.total[..., None])


def ks(cells: Cells) -> Array:
    """Return the largest |cumulative gap| (Gupta et al. 2021, eq. 12).

    >>> round(float(ks(Cells.from_rows(np.array([0.2, 0.8]), np.array([1, 0])))), 3)
    0.4
    """
    return np.asarray(np.abs(cumulative(cells)).max(axis=-1))


def kuiper(cells: Cells) -> Array:
    """Return the highest minus the lowest cumulative gap, including the 0 at the start.

    Kuiper 1960; Arrieta-Ibarra et al. 2022, eq. 7.

    >>> round(float(kuiper(Cells.from_rows(np.array([0.2, 0.8]), np.array([1, 0])))), 3)
    0.4
    """
    path = cumulative(cells)
    return np.maximum(path.max(axis=-1), 0) - np.minimum(path.min(axis=-1), 0)


CUMULATIVE: tuple[CellMetric, ...] = (
    CellMetric(
        "ks",
        "Kolmogorov-Smirnov calibration error",
        "largest |sum of gaps up to a score| / N",
        "Gupta et al. 2021, eq. 12",
        ks,
        error=True,
        ideal=0,
        least=0,
        most=1,
        shifted=same_shift,
        sees="gaps that keep their sign over a range of scores",
        blind="gaps that alternate: they cancel in the sum",
    ),
    CellMetric(
        "kuiper",
        "Kuiper calibration error",
        "highest - lowest sum of gaps up to a score, / N",
        "Kuiper 1960; Arrieta-Ibarra et al. 2022, eq. 7",
        kuiper,
        error=True,
        ideal=0,
        least=0,
        most=1,
        shifted=same_shift,
        sees="gaps of either sign over any range of scores",
        blind="gaps that alternate quickly",
    ),
)
