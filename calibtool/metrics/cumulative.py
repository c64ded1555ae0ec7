"""Errors of cumulative gaps, without bins or bandwidth: Kolmogorov-Smirnov, Kuiper, ATB."""

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


def atb(cells: Cells) -> Array:
    """Return the mean over all thresholds q in [0, 1] of the squared sum of gaps below q plus the
    squared sum of gaps from q on, both as shares of the weight of all rows.

    Hartline, Hu & Wu 2026. Between two scores the sums do not change, so that the mean over q is a
    sum of as many terms as there are scores, exactly. Both sides of q are divided by the weight of
    all rows, not of their own rows: then the mean over outcomes is sum p (1 - p) / N^2 for the true
    probabilities p, and no less for any other scores. The paper builds it from unnormalised binned
    squared errors; another constant before it changes no comparison of equally many rows.

    >>> round(float(atb(Cells.from_rows(np.array([0.2, 0.8]), np.array([1, 0])))), 6)
    0.192
    """
    below = cumulative(cells)
    total = below[..., -1:]
    at = np.clip(cells.at, 0, 1)  # the end of the last of a summary's cells
    after = np.append(at[1:], 1.0) - at  # from each score to the next, and to 1
    inside = (after * (below**2 + (total - below) ** 2)).sum(axis=-1)
    return np.asarray(inside + at[0] * total[..., 0] ** 2)


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
    CellMetric(
        "atb",
        "Averaged two-bin calibration error",
        "mean over thresholds q in [0, 1] of (sum of gaps of scores below q / N)^2 + (that of the "
        "others / N)^2",
        "Hartline, Hu & Wu 2026, arXiv 2508.13100",
        atb,
        error=True,
        ideal=0,
        least=0,
        most=1,
        covers=False,  # 85 % of 100 data sets of 100 rows (T=1.3 of benchmarks/populations.py)
        sees="gaps that keep their sign over a range of scores, as ks, but squared. On average "
        "over outcomes, no other scores have a smaller value than the true probabilities",
        blind="gaps that alternate: they cancel in the sums",
    ),
)
