"""Kernel calibration errors of one score: exact sums over all pairs of rows, in one pass."""

from __future__ import annotations

import numpy as np

from calibtool.errors import UsageError
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array

# Widths per run of cells: exp(300) is 2e130, far inside the range of float64 (2e308), and its
# reciprocal too.
SPAN = 300.0
# Values worked on at a time: 8 MB per array.
BATCH = 2**20


def mmce(cells: Cells, *, width: float = 0.4) -> Array:
    """Return the maximum mean calibration error (Kumar, Sarawagi & Jain 2018), with its root.

    sqrt(sum_ij r_i r_j exp(-|x_i - x_j| / width)), residuals r = w (y - x) / sum w, all pairs and
    the diagonal; the Laplacian kernel and its width 0.4 are theirs. Exact: no bins, no sampling.

    >>> cells = Cells(np.array([0.2, 0.6]), np.ones(2), np.array([0.2, 0.6]), np.array([1.0, 0]))
    >>> round(float(mmce(cells, width=0.4)), 6)  # sqrt(.64 + .36 - .96 / e) / 2
    0.40213
    """
    if not width > 0:
        raise UsageError(f"mmce: width={width:g} is not above 0")
    residual = np.asarray((cells.y - cells.p) / cells.total[..., None])
    flat = residual.reshape(-1, residual.shape[-1])
    position = cells.centres() / width
    step = max(1, BATCH // flat.shape[-1])
    parts = [_quadratic_form(position, flat[low : low + step]) for low in range(0, len(flat), step)]
    return np.sqrt(np.maximum(np.concatenate(parts), 0.0)).reshape(residual.shape[:-1])


def _quadratic_form(position: Array, residual: Array) -> Array:
    """Return sum_ij r_i r_j exp(-|x_i - x_j|) over sorted positions, for each row of residuals.

    The cells below a cell at x contribute exp(-x) times a cumulative sum of r exp(x), so that one
    pass does for all pairs. The cells are cut into runs. Each run takes its exponents from its own
    start, so that none overflows, and passes its sum on to the next.
    """
    total = np.zeros(len(residual))
    carried = np.zeros((len(residual), 1))  # of all earlier runs, seen from the start of this one
    first, end = 0, len(position)
    while first < end:
        last = int(np.searchsorted(position, position[first] + SPAN, side="right"))
        r = residual[:, first:last]
        grown = np.exp(position[first:last] - position[first])
        gathered = np.cumsum(r * grown, axis=-1)
        gathered += carried
        # twice the pairs below, and the cell itself: 2 r (gathered - r grown) / grown + r r
        total += 2 * ((r / grown) * gathered).sum(-1) - np.square(r).sum(-1)
        if last < end:
            carried = gathered[:, -1:] * np.exp(position[first] - position[last])
        first = last
    return total


def _shifted(cells: Cells, gap: float, *, width: float) -> Array:
    """Return the error where all rates lie `gap` off the scores."""
    at, n = cells.centres(), cells.summed().n
    return abs(gap) * mmce(Cells(cells.at, n, n * at, n * (at + 1)), width=width)


MMCE = CellMetric(
    "mmce",
    "Maximum mean calibration error",
    "root of the mean over pairs of gap_i gap_j exp(-|c_i - c_j|/width)",
    "Kumar et al. 2018",
    mmce,
    error=True,
    ideal=0,
    least=0,
    most=1,
    shifted=_shifted,
    sees="gaps that keep their sign over a range of about `width`",
    blind="gaps that alternate faster; the unit means little by itself",
)
