"""Smooth ECE: the gap, smoothed by a kernel as wide as the error itself.

A function of the cells' positions and sums; leading axes are replicates.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Literal

import numpy as np

from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array

# A grid of M intervals resolves bandwidths down to NODES / M. One data set is solved to TOLERANCE,
# replicates more coarsely. Grids grow by GROW until they resolve the answer, or are FINEST.
NODES, COARSE_NODES = 16, 4
TOLERANCE, COARSE_TOLERANCE = 1e-7, 1e-5
GRID, COARSE_GRID, LEAST = 4096, 1024, 256
GROW = 4
FINEST, COARSE_FINEST = 2**20, 2**14
BATCH = 2**19  # values worked on at a time: 4 MB an array

EDGE = 1e-3  # confidences this close to 0 and 1 are taken as this close before the logit
SLOPE = 4.0  # of the logit at 1/2: one unit of bandwidth, there, is one of probability
# shares of the four nodes around a point, as polynomials of its place f between the middle two
SPLINE = (
    (1 / 6, -1 / 2, 1 / 2, -1 / 6),
    (2 / 3, 0.0, -1.0, 1 / 2),
    (1 / 6, 1 / 2, 1 / 2, -1 / 2),
    (0.0, 0.0, 0.0, 1 / 6),
)
REACH = 6.0  # standard deviations beyond which a Gaussian counts as 0


Kernel = Literal["reflected", "logit"]


def smece(cells: Cells, *, kernel: Kernel = "reflected") -> Array:
    """Smooth ECE: the bandwidth that its own error equals (Blasiok & Nakkiran 2024).

    At bandwidth s the error is the integral of |sum_i r_i K_s(t, x_i)| dt, with residuals
    r = w (y - x) / sum w; it falls as s grows, so that exactly one s equals it. That s is found to
    1e-6 for one set of cells, and to 1e-4 for each of many (leading axes).

    - "reflected": Gaussian of standard deviation s on [0, 1], reflected at both ends (their
      default).
    - "logit": Gaussian of standard deviation 4 s in z = ln(x / (1 - x)) on the whole line, and the
      integral is over z. The 4 is the slope of z at 1/2, where both kernels agree. As in the
      authors' package, x is first brought into [0.001, 0.999], so that 0 and 1 have a logit. The
      package cuts the line where its mesh of probabilities ends; here nothing is cut.

    >>> cells = Cells(np.array([0.8]), np.array([10.0]), np.array([8.0]), np.array([5.0]))
    >>> round(float(smece(cells)), 6)
    0.3
    """
    residual = _residual(cells)
    flat = residual.reshape(-1, residual.shape[-1])
    score, found = cells.centres(), np.zeros(len(flat))
    reach = _reach(flat) if kernel == "logit" else np.zeros(len(flat))
    for room in np.unique(reach).tolist():  # a row's answer depends on no other row
        position, length = _on_unit_line(score, room, kernel)
        for rows in _batches(np.flatnonzero(reach == room), flat.shape[-1]):
            coarse = residual.ndim > 1
            found[rows] = _fixed_point(position, flat[rows], length, coarse=coarse)
    return found.reshape(residual.shape[:-1])


def smoothed(
    cells: Cells, at: Array, *, bandwidth: float, kernel: Kernel = "reflected"
) -> tuple[Array, Array]:
    """What smooth ECE integrates, as a curve: the density of the weight around each point, and the
    mean gap there, (..., G) each; NaN where there is no weight (Blasiok & Nakkiran 2024, sec. 3).

    Args:
        at: (G,) scores.
        bandwidth: that of `smece`, say: density * |gap| then integrates to it.
        kernel: the density is that of the score, or under "logit" of a quarter of its logit.

    >>> cells = Cells(np.array([0.8]), np.array([10.0]), np.array([8.0]), np.array([5.0]))
    >>> density, gap = smoothed(cells, np.array([0.5, 0.8]), bandwidth=0.1)
    >>> gap.round(6)
    array([-0.3, -0.3])
    """
    rows = np.stack(np.broadcast_arrays(cells.n, cells.y - cells.p))
    rows = rows / cells.total[..., None]
    flat = rows.reshape(-1, rows.shape[-1])
    both = np.concatenate([cells.centres(), at])
    place, length = _on_unit_line(both, REACH * bandwidth, kernel)
    nodes = COARSE_NODES if cells.n.ndim > 1 else NODES
    finest = COARSE_FINEST if cells.n.ndim > 1 else FINEST
    grid = int(min(2 ** np.ceil(np.log2(max(nodes * length / bandwidth, 256))), finest))
    out = np.empty((len(flat), len(at)))
    for part in _batches(np.arange(len(flat)), grid):
        smooth = _damped(_cosines(place[: -len(at)], flat[part], grid), bandwidth / length)
        out[part] = _between(smooth, place[-len(at) :] * grid) / length
    density, gap = out.reshape(*rows.shape[:-1], len(at))
    some = density > 1e-9 * density.max(axis=-1, keepdims=True)
    return density, np.divide(gap, density, out=np.full_like(gap, np.nan), where=some)


def _between(values: Array, at: Array) -> Array:
    """Values of rows between their nodes 0, 1, 2, ..."""
    node = np.minimum(at.astype(np.intp), values.shape[-1] - 2)
    share = at - node
    return np.asarray(values[:, node] * (1 - share) + values[:, node + 1] * share)


def _residual(cells: Cells) -> Array:
    """Signed gap of each cell as a share of the weight of all rows."""
    return np.asarray((cells.y - cells.p) / cells.total[..., None])


def _reach(residual: Array) -> Array:
    """How far a kernel reaches, rounded up to a power of 2: no answer exceeds sum |residual|."""
    most = np.maximum(np.abs(residual).sum(-1), 2.0**-20)
    return np.asarray(REACH * np.exp2(np.ceil(np.log2(most))))


def _on_unit_line(score: Array, room: float, kernel: Kernel) -> tuple[Array, float]:
    """Positions in [0, 1], and how long that unit is in units of bandwidth.

    The logit line is cut so far out (`room`) that nothing is reflected.
    """
    if kernel == "reflected":
        return np.clip(score, 0.0, 1.0), 1.0
    score = np.clip(score, EDGE, 1 - EDGE)
    z = np.log(score / (1 - score)) / SLOPE
    low, high = float(z.min()) - room, float(z.max()) + room
    return (z - low) / (high - low), high - low


def _fixed_point(position: Array, residual: Array, length: float, *, coarse: bool) -> Array:
    """The bandwidth at which the smoothed error equals it, for each row of residuals."""
    nodes, tolerance = (COARSE_NODES, COARSE_TOLERANCE) if coarse else (NODES, TOLERANCE)
    answer = np.abs(residual).sum(-1)  # an upper bound
    guess = np.maximum(np.abs(residual.sum(-1)), (0.18 * np.square(residual).sum(-1)) ** (1 / 3))
    guess = np.minimum(guess, answer)  # the net gap, or what noise comes to
    grid, last = (COARSE_GRID, COARSE_FINEST) if coarse else (GRID, FINEST)
    grid *= GROW if length > 1 else 1  # the logit line is longer
    while not coarse and grid > LEAST and grid * guess[0] > 8 * NODES * length:
        grid //= 2  # one data set, plainly wider than this grid is made for
    open_ = np.flatnonzero(answer > tolerance)
    while len(open_):
        finest = length * (1 if grid >= last else nodes) / grid
        for rows in _batches(open_, grid):
            waves = _cosines(position, residual[rows], grid)
            answer[rows] = _solve(waves, guess[rows], length, finest, tolerance)
        open_ = open_[answer[open_] < finest] if grid < last else open_[:0]
        grid *= GROW
    return answer


def _solve(waves: Array, start: Array, length: float, finest: float, tolerance: float) -> Array:
    """The root of error(s) - s for each row (regula falsi, Illinois).

    The error falls with s, so that the root lies between any s and error(s). Where it lies below
    `finest`, which this grid cannot resolve, the answer is an upper bound below `finest`.
    """
    start = np.maximum(start, finest)
    other = np.maximum(_error(waves, start, length), finest)
    gap, other_gap = other - start, _error(waves, other, length) - other
    low, high = np.minimum(start, other), np.maximum(start, other)
    below = np.where(start < other, gap, other_gap)
    above = np.where(start < other, other_gap, gap)
    lower = (below < 0) & (low <= finest)
    answer = np.where(lower, np.minimum(low + below, np.nextafter(finest, 0)), low)
    busy = np.flatnonzero(below > tolerance)
    last_side = np.zeros(len(answer))
    for _ in range(60):
        if not len(busy):
            break
        a, b, fa, fb = low[busy], high[busy], below[busy], above[busy]
        s = np.clip((a * fb - b * fa) / (fb - fa), a, b)
        value = _error(waves[busy] if len(busy) < len(waves) else waves, s, length) - s
        side = np.sign(value)
        again = side == last_side[busy]
        low[busy], below[busy] = np.where(side > 0, s, a), np.where(side > 0, value, fa)
        high[busy], above[busy] = np.where(side > 0, b, s), np.where(side > 0, fb, value)
        above[busy] *= np.where(again & (side > 0), 0.5, 1.0)
        below[busy] *= np.where(again & (side < 0), 0.5, 1.0)
        last_side[busy], answer[busy] = side, s
        busy = busy[np.abs(value) > tolerance]
    return answer


@cache
def _spectrum(grid: int) -> Array:
    """Of the spline, at k = 0..grid."""
    return np.asarray(np.sinc(np.arange(grid + 1) / (2 * grid)) ** 4)


def _cosines(position: Array, residual: Array, grid: int) -> Array:
    """sum_i r_i cos(pi k x_i) for k = 0..grid, of each row of residuals.

    Each residual is laid on four nodes as a cubic B-spline, whose own spectrum (sinc to the fourth
    power) is divided out. Relative error at bandwidth s: below (1 / (pi grid s))^4 / 3.
    """
    from scipy.fft import dct

    at = position * grid
    node = np.minimum(at.astype(np.int32), grid - 1)
    f = at - node
    first = (node + grid * np.arange(len(residual))[:, None]).ravel()
    moments = []  # of r, r f, r f^2, r f^3 over the cells between two nodes
    for _ in range(4):
        sums = np.bincount(first, residual.ravel(), grid * len(residual))
        moments.append(sums.reshape(-1, grid))
        residual = residual * f
    laid = np.zeros((len(residual), grid + 3))  # with a node beyond each end
    for step, shares in enumerate(SPLINE):
        laid[:, step : step + grid] += sum(c * m for c, m in zip(shares, moments, strict=True) if c)
    laid[:, 2] += laid[:, 0]  # cosines are even about both ends
    laid[:, -3] += laid[:, -1]
    inner = laid[:, 1:-1]
    inner[:, 1:-1] /= 2
    return np.asarray(dct(inner, type=1) / _spectrum(grid))


def _damped(waves: Array, bandwidth: Array | float) -> Array:
    """What the waves sum to at the nodes, smoothed by a Gaussian."""
    from scipy.fft import dct

    k = np.pi * np.arange(waves.shape[-1])
    return np.asarray(
        dct(waves * np.exp(-0.5 * np.square(bandwidth * k)), type=1, overwrite_x=True)
    )


def _error(waves: Array, bandwidth: Array, length: float) -> Array:
    """Integral over [0, 1] of |the smoothed residuals|, a bandwidth a row.

    The trapezoidal rule is right to third order but where the sign changes; there the line between
    the two nodes is integrated, and the slopes are the ends of the Euler-Maclaurin formula.
    """
    grid = waves.shape[-1] - 1
    smooth = _damped(waves, bandwidth[:, None] / length)
    row, at = np.nonzero(np.signbit(smooth[:, 1:]) != np.signbit(smooth[:, :-1]))
    a, b = np.abs(smooth[row, at]), np.abs(smooth[row, at + 1])
    jump = np.maximum(a + b, np.finfo(np.float64).tiny)
    fix = np.bincount(row, jump / 6 - a * b / jump, len(waves))
    np.abs(smooth, out=smooth)
    return np.asarray((smooth.sum(-1) - (smooth[:, 0] + smooth[:, -1]) / 2 + fix) / grid)


def _batches(rows: Array, width: int | None = None) -> Iterator[Array]:
    """The rows, a few at a time, so that temporary arrays stay small."""
    step = max(1, BATCH // max(width or rows.shape[-1], 1))
    for low in range(0, len(rows), step):
        yield rows[low : low + step]


SMECE = CellMetric(
    "smece",
    "Smooth ECE",
    "mean absolute gap smoothed by a kernel as wide as the error itself",
    "Blasiok & Nakkiran 2024 (reflected Gaussian, or Gaussian in the logit)",
    smece,
    error=True,
    sees="the gap at a scale that the error itself chooses: a consistent measure, no bins",
    blind="gaps that change sign within less than its own value",
)
