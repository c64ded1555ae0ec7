"""Smooth ECE: the gap, smoothed by a kernel as wide as the error itself (Blasiok & Nakkiran 2024).

A function of the cells' positions and sums; leading axes are replicates.

The reflected Gaussian kernel on [0, 1] has cosines as eigenfunctions:

    K_s(t, x) = 1 + 2 sum_k exp(-(pi k s)^2 / 2) cos(pi k x) cos(pi k t).

So the residuals are expanded in cosines once (`_cosines`), each bandwidth s only damps the
coefficients (`_damped`), and one cosine transform gives the smoothed gap on a grid, whose absolute
value is integrated (`_error`). The bandwidth at which the error equals s is found by regula falsi
(`_solve`), on a grid that is refined until it resolves the answer (`_fixed_point`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Literal

import numpy as np

from calibtool.intervals.scipy_parts import cosines
from calibtool.metrics.cells import Cells, changes, same_shift
from calibtool.metrics.kinds import CellMetric
from calibtool.types import Array

# One data set is solved to TOLERANCE, replicates (many, and noisy anyway) to COARSE_TOLERANCE.
TOLERANCE, COARSE_TOLERANCE = 1e-7, 1e-5
# Fewest grid intervals per bandwidth. They keep the relative error of `_cosines`, at most
# (1 / (pi nodes))^4 / 3, at 8e-7 and 1.3e-5; that of an error of s is s times as large. A grid of M
# intervals resolves bandwidths down to NODES / M.
NODES, COARSE_NODES = 8, 4
# The error of one data set is evaluated at this many nodes per bandwidth and up to twice as many,
# but at no more than two nodes per interval of the grid: a wide kernel leaves few waves, for which
# few nodes do. With so many, a kink of |f| costs less than 1e-8.
SAMPLED = 16
# The damping exp(-x^2 / 2) is 0 in float64 from this x on.
DAMPED = 38.7
# Intervals of the first grid, which resolves bandwidths from 0.002: most errors need no other.
# LEAST is the smallest grid that the first one is reduced to where the error is plainly larger.
GRID, COARSE_GRID, LEAST = 4096, 1024, 256
# A grid that does not resolve the answer is refined by this factor, up to the finest grid. That one
# is solved down to a bandwidth of one interval, 1e-6 and 6e-5: smaller errors are given as this.
GROW = 4
FINEST, COARSE_FINEST = 2**20, 2**14
# Values worked on at a time: 4 MB per array.
BATCH = 2**19
# Cells worked on at a time: fresh pages of memory for all of them cost more than the arithmetic.
PART = 2**13

# Scores are kept this far off 0 and 1 before the logit, as in the authors' package (relplot).
EDGE = 1e-3
# The slope of the logit at 1/2: there, a unit of bandwidth is a unit of probability.
SLOPE = 4.0
# Cubic B-spline: the shares of the four nodes around a point, as polynomials (lowest power first)
# of its position f between the middle two.
SPLINE = (
    (1 / 6, -1 / 2, 1 / 2, -1 / 6),
    (2 / 3, 0.0, -1.0, 1 / 2),
    (1 / 6, 1 / 2, 1 / 2, -1 / 2),
    (0.0, 0.0, 0.0, 1 / 6),
)
# Standard deviations beyond which a Gaussian counts as 0: its mass beyond 6 is 2e-9.
REACH = 6.0

Kernel = Literal["reflected", "logit"]


def smece(cells: Cells, *, kernel: Kernel = "reflected") -> Array:
    """Return the smooth ECE: the bandwidth that its own error equals (Blasiok & Nakkiran 2024).

    At bandwidth s the error is the integral of |sum_i r_i K_s(t, x_i)| dt, with residuals
    r = w (y - x) / sum w. It falls as s grows, so that exactly one s equals it. That s is found to
    1e-6 for one set of cells, and to 1e-4 for each of several (leading axes).

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
    score, errors = cells.centres(), np.zeros(len(flat))
    reach = _reach(flat) if kernel == "logit" else np.zeros(len(flat))
    # Rows with the same reach share a line, so that the result of one depends on no other row.
    for room in np.unique(reach).tolist():
        position, length = _on_unit_line(score, room, kernel)
        for rows in _batches(np.flatnonzero(reach == room), flat.shape[-1]):
            coarse = residual.ndim > 1
            some = flat if len(rows) == len(flat) else flat[rows]
            errors[rows] = _fixed_point(position, some, length, coarse=coarse)
    return errors.reshape(residual.shape[:-1])


def smoothed(
    cells: Cells, at: Array, *, bandwidth: float, kernel: Kernel = "reflected"
) -> tuple[Array, Array]:
    """Return the curve that smooth ECE integrates (Blasiok & Nakkiran 2024, sec. 3).

    Args:
        cells: (..., C) cells.
        at: (G,) scores.
        bandwidth: such as the value of `smece`: density * |gap| then integrates to it.
        kernel: the density is that of the score, or under "logit" of a quarter of its logit.

    Returns the density of the weight around each point, and the mean gap (outcome - score) there,
    (..., G) each. The gap is NaN where there is no weight.

    >>> cells = Cells(np.array([0.8]), np.array([10.0]), np.array([8.0]), np.array([5.0]))
    >>> density, gap = smoothed(cells, np.array([0.5, 0.8]), bandwidth=0.1)
    >>> gap.round(6)
    array([-0.3, -0.3])
    """
    rows = np.stack(np.broadcast_arrays(cells.n, cells.y - cells.p))
    rows = rows / cells.total[..., None]
    flat = rows.reshape(-1, rows.shape[-1])
    # cells and points together, so that one line covers both
    both = np.concatenate([cells.centres(), at])
    position, length = _on_unit_line(both, REACH * bandwidth, kernel)
    nodes = COARSE_NODES if cells.n.ndim > 1 else 2 * NODES
    finest = COARSE_FINEST if cells.n.ndim > 1 else FINEST
    grid = int(min(2 ** np.ceil(np.log2(max(nodes * length / bandwidth, 256))), finest))
    out = np.empty((len(flat), len(at)))
    for part in _batches(np.arange(len(flat)), grid):
        waves = _cosines(position[: -len(at)], flat[part], grid)
        smooth = _damped(waves, bandwidth / length, grid)
        out[part] = _interpolate(smooth, position[-len(at) :] * grid) / length
    density, gap = out.reshape(*rows.shape[:-1], len(at))
    occupied = density > 1e-9 * density.max(axis=-1, keepdims=True)  # below, both are rounding
    return density, np.divide(gap, density, out=np.full_like(gap, np.nan), where=occupied)


def _interpolate(values: Array, at: Array) -> Array:
    """Return the values, (R, G), at positions `at` between the nodes 0, 1, 2, ... of each row."""
    node = np.minimum(at.astype(np.intp), values.shape[-1] - 2)
    share = at - node
    return np.asarray(values[:, node] * (1 - share) + values[:, node + 1] * share)


def _residual(cells: Cells) -> Array:
    """Return the signed gap of each cell, as a share of the weight of all rows."""
    return np.asarray((cells.y - cells.p) / cells.total[..., None])


def _reach(residual: Array) -> Array:
    """Return the farthest distance that the kernel of each row reaches, in bandwidths of 1.

    No answer exceeds sum |residual|, so no bandwidth does. Rounded up to a power of 2, so that the
    rows of a bootstrap share a few lines; at least 2^-20, the resolution of the finest grid.
    """
    largest = np.maximum(np.abs(residual).sum(-1), 2.0**-20)
    return np.asarray(REACH * np.exp2(np.ceil(np.log2(largest))))


def _on_unit_line(score: Array, room: float, kernel: Kernel) -> tuple[Array, float]:
    """Return positions in [0, 1], and the length of [0, 1] in units of bandwidth.

    The logit line is cut at `room` beyond the outermost scores, so that nothing is reflected at its
    ends, and mapped to [0, 1].
    """
    if kernel == "reflected":
        return np.clip(score, 0.0, 1.0), 1.0
    score = np.clip(score, EDGE, 1 - EDGE)
    z = np.log(score / (1 - score)) / SLOPE
    low, high = float(z.min()) - room, float(z.max()) + room
    return (z - low) / (high - low), high - low


def _fixed_point(position: Array, residual: Array, length: float, *, coarse: bool) -> Array:
    """Return the bandwidth at which the smoothed error equals it, for each row of residuals."""
    nodes, tolerance = (COARSE_NODES, COARSE_TOLERANCE) if coarse else (NODES, TOLERANCE)
    answer, squares = np.zeros(len(residual)), np.zeros(len(residual))
    for part in _parts(residual.shape[-1]):
        size = np.abs(residual[:, part])
        answer += size.sum(-1)  # an upper bound: smoothing cancels, it never adds
        squares += np.square(size, out=size).sum(-1)
    # Start from the net gap, which no smoothing cancels, or from what noise alone comes to:
    # residuals of random sign, smoothed at s, have the variance sum r^2 / (2 sqrt(pi) s) at each
    # point, whose mean absolute value sqrt(2 / pi) sd equals s at s^3 = sum r^2 / pi^1.5.
    noise = (0.18 * squares) ** (1 / 3)
    guess = np.minimum(np.maximum(np.abs(residual.sum(-1)), noise), answer)
    grid, last = (COARSE_GRID, COARSE_FINEST) if coarse else (GRID, FINEST)
    grid *= GROW if length > 1 else 1  # the logit line is longer
    # one data set whose guessed bandwidth spans 3 times as many intervals as are needed
    while not coarse and grid > LEAST and grid * guess[0] > 3 * NODES * length:
        grid //= 2
    open_ = np.flatnonzero(answer > tolerance)
    while len(open_):
        # the finest grid is used below its resolution too: there is no finer one
        finest = length * (1 if grid >= last else nodes) / grid
        for rows in _batches(open_, grid):
            some = residual if len(rows) == len(residual) else residual[rows]
            waves = _cosines(position, some, grid)
            answer[rows] = _solve(waves, guess[rows], length, finest, tolerance, fit=not coarse)
        open_ = open_[answer[open_] < finest] if grid < last else open_[:0]
        grid *= GROW
    return answer


def _solve(
    waves: Array, start: Array, length: float, finest: float, tolerance: float, *, fit: bool
) -> Array:
    """Return the root of error(s) - s for each row (regula falsi, Illinois rule).

    The error falls as s grows, so that the root lies between any s and error(s). Where it lies
    below `finest`, which this grid cannot resolve, the answer is the error at `finest`, below it.
    With `fit`, the error of one row is evaluated at as many nodes as its bandwidth needs. Several
    rows share the grid of the waves, so that the result of one depends on no other row.
    """

    def error(waves: Array, s: Array) -> Array:
        nodes = 2 * grid if fit else grid
        while fit and nodes > LEAST and nodes * s[0] >= 2 * SAMPLED * length:
            nodes //= 2
        return _error(waves, s, length, nodes)

    grid = waves.shape[-1] - 1
    start = np.maximum(start, finest)
    other = np.maximum(error(waves, start), finest)
    gap, other_gap = other - start, error(waves, other) - other
    low, high = np.minimum(start, other), np.maximum(start, other)
    below = np.where(start < other, gap, other_gap)
    above = np.where(start < other, other_gap, gap)
    unresolved = (below < 0) & (low <= finest)
    answer = np.where(unresolved, np.minimum(low + below, np.nextafter(finest, 0)), low)
    busy = np.flatnonzero(below > tolerance)
    last_side = np.zeros(len(answer))
    for _ in range(60):  # never reached: 60 bisections alone would leave 1e-18
        if not len(busy):
            break
        a, b, fa, fb = low[busy], high[busy], below[busy], above[busy]
        s = np.clip((a * fb - b * fa) / (fb - fa), a, b)
        value = error(waves[busy] if len(busy) < len(waves) else waves, s) - s
        side = np.sign(value)
        # Illinois: an end that stays twice in a row counts half, or it would never move
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
    """Return the spectrum of the cubic B-spline at k = 0..grid: sinc to the fourth power."""
    return np.asarray(np.sinc(np.arange(grid + 1) / (2 * grid)) ** 4)


def _cosines(position: Array, residual: Array, grid: int) -> Array:
    """Return sum_i r_i cos(pi k x_i) for k = 0..grid, of each row of residuals: (R, grid + 1).

    A non-uniform fast Fourier transform: each residual is laid on the four nearest nodes as a cubic
    B-spline, the nodes are transformed, and the spectrum of the spline is divided out. The relative
    error at bandwidth s is below (1 / (pi grid s))^4 / 3.
    """
    # Sums of r, r f, r f^2 and r f^3 over the cells between two nodes give the shares of all nodes,
    # which are cubic polynomials of f.
    moments = np.zeros((4, len(residual) * grid))
    for part in _parts(len(position)):
        f = position[part] * grid
        node = f.astype(np.int32)
        np.minimum(node, grid - 1, out=node)
        f -= node
        # Cells are in order, so that those between two nodes are runs: summing a run is fast.
        starts = changes(node)
        runs = (node[starts] + grid * np.arange(len(residual))[:, None]).ravel()
        r = residual[:, part]
        for power, moment in enumerate(moments):
            r = r * f if power else r
            np.add.at(moment, runs, np.add.reduceat(r, starts, axis=1).ravel())
    of_rows = moments.reshape(4, -1, grid)
    laid = np.zeros((len(residual), grid + 3))  # with a node beyond each end
    for step, shares in enumerate(SPLINE):
        laid[:, step : step + grid] += sum(c * m for c, m in zip(shares, of_rows, strict=True) if c)
    laid[:, 2] += laid[:, 0]  # cosines are even about both ends: fold the nodes beyond them back
    laid[:, -3] += laid[:, -1]
    inner = laid[:, 1:-1]
    inner[:, 1:-1] /= 2  # a type-1 transform counts every node but the two ends twice
    return cosines(inner) / _spectrum(grid)


def _damped(waves: Array, bandwidth: Array | float, grid: int) -> Array:
    """Return what the waves sum to at the nodes, (R, grid + 1), smoothed by a Gaussian.

    The bandwidth is in units of the line; an array has one per row.
    """
    # the waves that are left
    few = min(waves.shape[-1], grid + 1, int(DAMPED / np.pi / float(np.min(bandwidth))) + 2)
    k = np.pi * np.arange(few)
    damped = np.zeros((*waves.shape[:-1], grid + 1))
    np.multiply(waves[..., :few], np.exp(-0.5 * np.square(bandwidth * k)), out=damped[..., :few])
    return cosines(damped, overwrite=True)


def _error(waves: Array, bandwidth: Array, length: float, grid: int) -> Array:
    """Return the integral over [0, 1] of |the smoothed residuals|, with one bandwidth per row.

    The trapezoidal rule is accurate where the function is smooth (its slope is 0 at both ends, by
    reflection), but not where |f| has a kink. Between two nodes with values of different sign, a
    and b in absolute terms, the straight line has the integral (a^2 + b^2) / (2 (a + b)), which is
    a b / (a + b) less than the rule. The smooth parts on both sides of the kink end there with the
    slopes -(a + b) and a + b, for which the Euler-Maclaurin formula adds (a + b) / 6.
    """
    smooth = _damped(waves, bandwidth[:, None] / length, grid)
    negative = np.signbit(smooth)
    row, at = np.divmod(np.flatnonzero(negative[:, 1:] != negative[:, :-1]), grid)
    a, b = np.abs(smooth[row, at]), np.abs(smooth[row, at + 1])
    jump = np.maximum(a + b, np.finfo(np.float64).tiny)
    correction = np.bincount(row, jump / 6 - a * b / jump, len(waves))
    np.abs(smooth, out=smooth)
    return np.asarray((smooth.sum(-1) - (smooth[:, 0] + smooth[:, -1]) / 2 + correction) / grid)


def _parts(cells: int) -> Iterator[slice]:
    """Yield slices of the cells, a few at a time."""
    for low in range(0, cells, PART):
        yield slice(low, low + PART)


def _batches(rows: Array, width: int | None = None) -> Iterator[Array]:
    """Yield the rows, a few at a time, so that temporary arrays stay small."""
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
    ideal=0,
    least=0,
    most=1,
    shifted=same_shift,
    sees="the gap at a scale that the error itself chooses: a consistent measure, no bins",
    blind="gaps that change sign within less than its own value",
)
