"""Convex minimisation above lower bounds by projected Newton steps, and the basis of splines.

The curves of `spline` and `order_preserving` are quadratic splines whose slopes at the knots are
the parameters; they must not be negative, hence the bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from calibtool.errors import FitError, UsageError
from calibtool.types import Array

# Newton's steps. Fits take some 10, and up to 70 if many slopes come to lie on their bound one by
# one (50 knots, hardly any penalty).
STEPS = 200
# Knots at most: a pass holds (rows, knots) numbers of the basis. More knots than this bend no
# further, since the penalty ties neighbouring slopes together.
MAX_KNOTS = 100
# A step that promises to gain less than this, in nats, is below the float64 rounding of the mean
# NLL, which is of order 1.
ENOUGH = 1e-13
# Such a step is still taken if no parameter moves further than this: Newton's error is then of the
# order of its square. A longer one leads along a direction that hardly bends: it is rounding.
LAST = 1e-5
# A parameter this near its bound counts as on it. Slopes are of order 1: a smaller slope is flat.
NEAR = 1e-10
# Armijo's constant (Nocedal & Wright 2006, sec. 3.1): the share of the promised gain that a step
# must bring.
ARMIJO = 1e-4

Objective: TypeAlias = Callable[[Array], tuple[float, Array, Array]]


def minimise(
    objective: Objective, start: Array, lower: Array, enough: float = ENOUGH
) -> tuple[Array, float, float]:
    """Return the v >= lower that minimises a convex function.

    Newton's method on the free parameters, those that are not held on their bound by the slope;
    steps beyond a bound end on it (projected Newton, Bertsekas 1982, sec. 2).

    Args:
        objective: maps v to its value, slope and matrix of second derivatives.
        start: where to begin, above `lower`.
        lower: bounds, -inf for none.
        enough: the search ends with a step that promises to gain no more, in nats.

    Returns v, and the value and the largest absolute slope of a free parameter before the last
    step. Raises FitError if the minimum is not reached in STEPS steps.
    """
    v = start
    value, slope, curve = objective(v)
    for _ in range(STEPS):
        free = ~((v <= lower + NEAR) & (slope > 0))
        step = np.zeros_like(v)
        free_curve = curve[free][:, free]
        # A ridge of 1e-12 of the mean diagonal: without rows near a knot and with a small penalty
        # the matrix is singular to rounding. It changes steps, but not the minimum.
        diagonal = np.arange(len(free_curve))
        mean = float(free_curve[diagonal, diagonal].sum()) / max(len(diagonal), 1)
        free_curve[diagonal, diagonal] += 1e-12 * max(mean, 1e-300)
        step[free] = np.linalg.solve(free_curve, -slope[free])
        if not np.isfinite(step).all():  # no row bends the objective here
            step = np.where(free, -slope, 0)
        if -float(slope @ step) <= enough:
            near = np.abs(step).max(initial=0) <= LAST
            v = np.maximum(v + step, lower) if near else v
            return v, value, float(np.abs(slope[free]).max(initial=0))
        better = _search(objective, v, value, slope, step, lower)
        if better is None:  # cut off at the bounds, Newton's step may lead uphill: try downhill
            better = _search(objective, v, value, slope, np.where(free, -slope, 0), lower)
        if better is None:  # what is left to gain is less than rounding
            return v, value, float(np.abs(slope[free]).max(initial=0))
        v, (value, slope, curve) = better
    raise FitError(
        f"the fit did not converge in {STEPS} steps; it reached an objective of {value:.9g} with "
        f"a slope of {np.abs(slope[free]).max():.2g}"
    )


def _search(
    objective: Objective, v: Array, value: float, slope: Array, step: Array, lower: Array
) -> tuple[Array, tuple[float, Array, Array]] | None:
    """Return the first point along a step, halved again and again and cut off at the bounds, that
    is better by ARMIJO of what the slope promises, and the objective there; None if there is none.
    """
    share = 1.0
    while share > 1e-12:  # 40 halvings: shorter steps change v by less than its rounding
        new = np.maximum(v + share * step, lower)
        gain = -float(slope @ (new - v))
        if gain > 0:
            # where few rows bend the objective, a step may lead to where it is infinite or NaN
            with np.errstate(over="ignore", invalid="ignore"):
                result = objective(new)
            if result[0] <= value - ARMIJO * gain:
                return new, result
        share /= 2
    return None


def require_shape(knots: int, smoothness: float) -> None:
    """Raise UsageError for options that no spline can have.

    Beyond 1e-9 and 1e9 the penalty is lost in the rounding of the likelihood, or the likelihood in
    that of the penalty.
    """
    if not 2 <= knots <= MAX_KNOTS:
        raise UsageError(f"--knots must lie between 2 and {MAX_KNOTS}, not {knots:,}")
    if not 1e-9 <= smoothness <= 1e9:
        raise UsageError(f"--smoothness must lie between 1e-9 and 1e9, not {smoothness:g}")


def bend_basis(score: Array, knots: Array) -> Array:
    """Return (M, n): the integral of each knot's hat function, from the first knot to each score.

    The hat of a knot is 1 there, 0 at all other knots, and straight between; those of the first and
    the last knot stay 1 beyond. A curve whose slopes at the knots are v is then `v @ basis`.
    """
    out = np.zeros((len(knots), len(score)))
    np.minimum(score - knots[0], 0, out=out[0])
    for j, gap in enumerate(np.diff(knots)):
        # on the way from knot j to the next, a hat rises by d**2 / (2 gap) while the one before
        # falls by the rest of d
        d = np.clip(score - knots[j], 0, gap)
        rising = out[j + 1]
        np.multiply(d, d, out=rising)
        rising /= 2 * gap
        d -= rising
        out[j] += d
    out[-1] += np.maximum(score - knots[-1], 0)
    return out


def roughness(knots: int) -> Array:
    """Return (M, M): the quadratic form that sums squared differences of neighbouring slopes."""
    d = np.diff(np.eye(knots), axis=0)
    return np.asarray(d.T @ d)


def quantiles(score: Array, mass: Array, count: int) -> Array:
    """Return up to `count` scores that cut the mass evenly, among them the lowest and the highest.

    There are fewer where scores coincide.

    Args:
        score: (n,) increasing.
        mass: (n,) the weight of each.
        count: at least 2.
    """
    below = np.cumsum(mass)
    at = np.searchsorted(below, below[-1] * np.linspace(0, 1, max(count, 2))[1:-1])
    return np.unique(np.concatenate([score[[0]], score[at], score[[-1]]]))
