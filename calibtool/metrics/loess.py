"""The loess calibration curve, and its distance to the diagonal: ICI, E50, E90, Emax.

All are functions of cells. A weight counts as that many rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibtool.metrics.cells import Cells, same_shift
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.profiles import coarsen
from calibtool.types import Array

# Points at which loess is evaluated: 256 quantiles of the scores, and 128 evenly over their range.
# The docstring of `loess` says what interpolating between them costs.
_KNOTS = (256, 128)
# Between two points the curve is computed at a third, until the straight line is off by less than
# _BENT there, a quarter of what the docstring of `loess` promises; _ROUNDS bounds the time.
_BENT = 2.5e-4
_ROUNDS = 12
# Replicates worked on at a time: with 1,024 cells each, 2 MB.
_AT_ONCE = 250


def loess(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Return the locally weighted regression of the outcome on the score at each cell, (..., C).

    A polynomial is fitted around each point by least squares, with tricube weights that fall to 0
    at the farthest of the nearest `span` of the rows (Cleveland 1979; Cleveland, Devlin & Grosse
    1988). Degree 2 and a span of 0.75 are the defaults of R's `loess`, with which the ICI was
    defined; there is no second, robust pass. As there, the span is rounded down to whole rows
    (copies, where weights are whole numbers; rows of other weights are not rounded). Replicates
    share the reach of the weights.

    Up to 384 points are computed, from at most 1,024 cells, and joined by straight lines, with more
    of them where the curve bends. Of at most 384 distinct scores every point is computed. Of more,
    measured on ten kinds of scores (clusters, heavy tails, several orders of magnitude), the curve
    and Emax change by less than 1e-3 and the ICI by less than 1e-4; at a span of 0.3, by 1.5e-3.
    None of that holds where the reach ends just beyond a cluster of scores that has nearly all of
    the rows within it: there a parabola is hardly determined, and may leave [0, 1] by far.
    """
    at = cells.centres()
    weight = cells.summed().n
    pooled = coarsen(cells, weight)
    x = pooled.centres()
    lead = np.broadcast_shapes(cells.n.shape[:-1], cells.y.shape[:-1])

    def local(knots: Array) -> _Local:
        reach = _reach(at, weight, knots, _share(cells, span))
        return _Local.of(np.broadcast_to(pooled.n, (*lead, len(x))), x, knots, reach, degree)

    fit = cells.of_scores(("loess", span, degree, lead), lambda: local(_knots(at, weight)))
    y = np.broadcast_to(pooled.y, (*lead, len(x)))
    knots, smooth = fit.knots, fit.smooth(y)
    if not lead:
        refined = _refined(at[weight > 0], knots, smooth, lambda knots: local(knots).smooth(y))
        return np.interp(at, *refined)
    right = np.clip(np.searchsorted(knots, at), 1, max(len(knots) - 1, 1))
    if len(knots) == 1:
        return np.repeat(smooth, len(at), axis=-1)
    share = (at - knots[right - 1]) / (knots[right] - knots[right - 1])
    share = np.clip(share, 0, 1)
    below, above = smooth.take(right - 1, axis=-1), smooth.take(right, axis=-1)
    below *= 1 - share
    above *= share
    below += above
    return below


def ici(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Return the integrated calibration index: the mean |loess(p) - p| over rows.

    Austin & Steyerberg 2019.
    """
    gap = _gap(cells, span, degree)
    return np.asarray((gap * cells.n).sum(-1) / cells.total)


def e50(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Return the median |loess(p) - p| over rows (Austin & Steyerberg 2019)."""
    return _quantile(cells, span, degree, 0.5)


def e90(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Return the 90th percentile of |loess(p) - p| over rows (Austin & Steyerberg 2019)."""
    return _quantile(cells, span, degree, 0.9)


def emax(cells: Cells, *, span: float = 0.75, degree: int = 2) -> Array:
    """Return the largest |loess(p) - p| of a row (Harrell 2001; Austin & Steyerberg 2019)."""
    gap = _gap(cells, span, degree)
    return np.asarray(np.where(cells.n > 0, gap, 0.0).max(-1))


def _gap(cells: Cells, span: float, degree: int) -> Array:
    """Return |loess - score| of each cell, (..., C), which four metrics ask for."""

    def compute() -> Array:
        gap = loess(cells, span=span, degree=degree) - cells.centres()
        return np.asarray(np.abs(gap, out=gap))

    return cells.once(("gap of loess", span, degree), compute)


def _by_gap(cells: Cells, span: float, degree: int) -> tuple[Array, Array]:
    """Return the order of the cells by |loess - score|, and their weight up to each, (..., C)
    each."""

    def compute() -> tuple[Array, Array]:
        gap = _gap(cells, span, degree)
        order = np.argsort(gap, axis=-1)
        weight = np.take_along_axis(np.broadcast_to(cells.n, gap.shape), order, -1)
        return order, np.cumsum(weight, -1, out=weight)

    return cells.once(("order of gaps of loess", span, degree), compute)


def _quantile(cells: Cells, span: float, degree: int, share: float) -> Array:
    """Return a weighted quantile of |loess - score|, (...); the mean of two where it falls between
    them."""
    order, below = _by_gap(cells, span, degree)
    wanted = share * below[..., -1:]
    slack = 1e-12 * below[..., -1:]  # the rounding of the cumulative sum
    picked = [(below < wanted - slack).sum(-1), (below <= wanted + slack).sum(-1)]
    ends = [np.minimum(index, order.shape[-1] - 1)[..., None] for index in picked]
    at = (np.take_along_axis(order, index, -1) for index in ends)
    gap = _gap(cells, span, degree)
    low, high = (np.take_along_axis(gap, cell, -1)[..., 0] for cell in at)
    return np.asarray((low + high) / 2)


def _knots(at: Array, weight: Array) -> Array:
    """Return the points at which the curve is computed: all occupied ones if there are few."""
    occupied = at[weight > 0]
    if len(occupied) <= sum(_KNOTS):
        return np.unique(occupied if len(occupied) else at[:1])
    below = np.cumsum(weight)
    shares = below[-1] * np.linspace(0, 1, _KNOTS[0])
    quantiles = at[np.minimum(np.searchsorted(below, shares), len(at) - 1)]
    even = np.linspace(occupied[0], occupied[-1], _KNOTS[1])
    return np.unique(np.concatenate([quantiles.clip(occupied[0], occupied[-1]), even]))


def _refined(
    at: Array, knots: Array, smooth: Array, curve: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """Return knots and the curve there, with more of them where it bends between two.

    Args:
        at: (C,) the points at which the curve is wanted.
        knots, smooth: (k,) where it is known.
        curve: curve(points), its values.
    """
    open_ = np.arange(len(knots) - 1)
    for _ in range(_ROUNDS):
        low, high = knots[open_], knots[open_ + 1]
        middle = at[np.minimum(np.searchsorted(at, (low + high) / 2), len(at) - 1)]
        inside = (middle > low) & (middle < high)
        open_, middle = open_[inside], middle[inside]
        if not len(middle):
            break
        values = curve(middle)
        bent = np.abs(values - np.interp(middle, knots, smooth)) > _BENT
        places, middle, values = open_[bent], middle[bent], values[bent]
        knots = np.insert(knots, places + 1, middle)
        smooth = np.insert(smooth, places + 1, values)
        first = places + np.arange(len(places))  # where each stretch that was cut starts now
        open_ = np.concatenate([first, first + 1])
    return knots, smooth


def _share(cells: Cells, span: float) -> float:
    """Return the share of the rows within reach: as in R, a whole number of rows, rounded down.

    Rows of different weights have no such number; those of replicates share that of the data.
    """
    if cells.n.ndim > 1 or cells.row is None or len(cells.row) > 1 or span > 1:
        return span
    rows = float(cells.total) / float(cells.row[0])
    # R adds 1e-5 before it rounds down, which undoes the rounding of span * rows
    return max(np.floor(span * rows + 1e-5), 1.0) / rows


def _reach(at: Array, weight: Array, knots: Array, span: float) -> Array:
    """Return the distance from each knot to the farthest of the nearest `span` of the weight."""
    below = np.concatenate([[0.0], np.cumsum(weight)])
    wanted = min(span, 1.0) * below[-1] * (1 - 1e-12)  # less the rounding of the cumulative sum
    low, high = np.zeros(len(knots)), np.full(len(knots), float(np.ptp(at)) + 1e-12)
    for _ in range(45):  # bisection to 2^-45 = 3e-14, far finer than float32 scores
        middle = (low + high) / 2
        near = below[np.searchsorted(at, knots + middle, side="right")]
        near = near - below[np.searchsorted(at, knots - middle, side="left")]
        low, high = np.where(near < wanted, middle, low), np.where(near < wanted, high, middle)
    # a span above 1 stretches the reach, as in R; the floor keeps one score from dividing by 0
    return np.asarray(np.maximum(high * max(span, 1.0), 1e-9))


@dataclass(frozen=True, eq=False)
class _Local:
    """Local polynomials at knots, up to the outcomes.

    The normal equations need the moments sum w n d^j and sum w y d^j of the distances d, over all
    cells: one matrix product per power, for all replicates at once. They are solved by elimination
    from the highest power down, of which only what is done to the outcomes is left to do. A power
    that is not determined (too few distinct scores in reach) is left out.

    Attributes:
        knots: (k,) the knots.
        powers: w d^j, (k, C) for j = 0..degree.
        factors: by (power, lower power), the share of an equation that is taken off a lower one,
            (R, k).
        total: (R, k) the weight within reach.
        left: (R, k) what is left of it in the equation of the constant term.
    """

    knots: Array
    powers: list[Array]
    factors: dict[tuple[int, int], Array]
    total: Array
    left: Array

    @classmethod
    def of(cls, n: Array, x: Array, knots: Array, reach: Array, degree: int) -> _Local:
        """Fit polynomials of a degree to cells of weights `n`, (..., C), at `x`, (C,)."""
        apart = (x - knots[:, None]) / reach[:, None]
        fall = np.maximum(1 - np.abs(apart * apart * apart), 0)
        powers = [fall * fall * fall]
        for _ in range(2 * degree):
            powers.append(powers[-1] * apart)
        n = n.reshape(-1, len(x))
        shape = (len(n), len(knots))
        total, left = np.empty(shape), np.empty(shape)
        factors = {(k, i): np.empty(shape) for k in range(degree, 0, -1) for i in range(k)}
        for low in range(0, len(n), _AT_ONCE):
            at = slice(low, low + _AT_ONCE)
            moments = [n[at] @ power.T for power in powers]
            total[at] = np.maximum(moments[0], 1e-300)
            left[at] = _eliminated(
                moments, total[at], {key: factor[at] for key, factor in factors.items()}, degree
            )
        return cls(knots, powers[: degree + 1], factors, total, left)

    def smooth(self, y: Array) -> Array:
        """Return the value of each polynomial at its knot, (..., k), with outcomes (..., C)."""
        lead, y = y.shape[:-1], y.reshape(-1, y.shape[-1])
        out = np.empty(self.total.shape)
        for low in range(0, len(y), _AT_ONCE):
            at = slice(low, low + _AT_ONCE)
            sums = [y[at] @ power.T for power in self.powers]
            first = sums[0]
            for (k, i), factor in self.factors.items():
                sums[i] = sums[i] - factor[at] * sums[k]
            total, left = self.total[at], self.left[at]
            value = sums[0] / np.maximum(left, 1e-300)
            out[at] = np.where(left > 1e-10 * total, value, first / total)
        return out.reshape(*lead, len(self.knots))


def _eliminated(
    moments: list[Array], total: Array, factors: dict[tuple[int, int], Array], degree: int
) -> Array:
    """Return what is left of the weight in the equation of the constant term, (R, k), and fill in
    the factors by which the others were taken off.

    Args:
        moments: sums of n d^j for j = 0..2 degree.
        total: the first of them, above 0.
        factors: filled in, by (power, lower power).
        degree: of the polynomials.
    """
    a = [[moments[i + j] for j in range(degree + 1)] for i in range(degree + 1)]
    for k in range(degree, 0, -1):
        pivot = a[k][k]
        sure = pivot > 1e-10 * total
        scale = np.divide(1.0, pivot, out=np.zeros_like(pivot), where=sure)
        for i in range(k):
            factor = factors[k, i]
            np.multiply(a[i][k], scale, out=factor)
            for j in range(k):
                a[i][j] = a[i][j] - factor * a[k][j]
    return a[0][0]


LOESS: tuple[CellMetric, ...] = (
    CellMetric(
        "ici",
        "Integrated calibration index",
        "mean over the rows of |loess of the outcome at the score - score|",
        "Austin & Steyerberg 2019",
        ici,
        error=True,
        ideal=0,
        least=0,
        most=1,
        view="clinical",
        shifted=same_shift,
        sees="the gap, smoothed by a local regression",
        blind="what the span smooths away",
    ),
    CellMetric(
        "e50",
        "E50",
        "median of |loess of the outcome at the score - score|",
        "Austin & Steyerberg 2019",
        e50,
        error=True,
        ideal=0,
        least=0,
        most=1,
        view="clinical",
        shifted=same_shift,
        sees="the gap of a typical row",
        blind="the worse half of the rows",
    ),
    CellMetric(
        "e90",
        "E90",
        "90 % quantile of |loess of the outcome at the score - score|",
        "Austin & Steyerberg 2019",
        e90,
        error=True,
        ideal=0,
        least=0,
        most=1,
        view="clinical",
        shifted=same_shift,
        sees="the gap that one row in ten exceeds",
        blind="the worst tenth of the rows",
    ),
    CellMetric(
        "emax",
        "Emax",
        "largest |loess of the outcome at the score - score|",
        "Harrell 2001; Austin & Steyerberg 2019",
        emax,
        error=True,
        ideal=0,
        least=0,
        most=1,
        view="clinical",
        shifted=same_shift,
        sees="the largest gap, most often at an end of the scores",
        blind="how many rows have it",
    ),
)
