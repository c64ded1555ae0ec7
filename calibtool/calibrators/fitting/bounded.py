"""Convex minimisation above lower bounds: Newton's method on the parameters that are free."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from calibtool.errors import FitError, UsageError
from calibtool.types import Array

STEPS = 200
MOST = 100  # knots
ENOUGH = 1e-13  # what a further step would gain
NEAR = 1e-10  # a parameter so near its bound lies on it

Objective: TypeAlias = Callable[[Array], tuple[float, Array, Array]]


def minimise(objective: Objective, start: Array, lower: Array) -> tuple[Array, float, float]:
    """The v >= lower that minimises a convex function (projected Newton, Bertsekas 1982, sec. 2).

    Args:
        objective: v to its value, slope and matrix of second derivatives.
        start: where to begin, above `lower`.
        lower: bounds, -inf for none.

    Returns v, the value there and the largest slope of a free parameter. Raises FitError.
    """
    v = start
    value, slope, curve = objective(v)
    for _ in range(STEPS):
        free = ~((v <= lower + NEAR) & (slope > 0))
        step = np.zeros_like(v)
        own = curve[np.ix_(free, free)]
        ridge = 1e-12 * max(float(np.trace(own)) / max(len(own), 1), 1e-300)
        step[free] = np.linalg.solve(own + ridge * np.eye(len(own)), -slope[free])
        if -float(slope @ step) <= ENOUGH:
            return v, value, float(np.abs(slope[free]).max(initial=0))
        found = _search(objective, v, value, slope, step, lower)
        if found is None:  # Newton's step leads out of bounds: straight downhill instead
            found = _search(objective, v, value, slope, np.where(free, -slope, 0), lower)
        if found is None:  # rounding is all that is left
            return v, value, float(np.abs(slope[free]).max(initial=0))
        v, (value, slope, curve) = found
    raise FitError(
        f"the fit did not converge in {STEPS} steps; it reached an objective of {value:.9g} with "
        f"a slope of {np.abs(slope[free]).max():.2g}"
    )


def _search(
    objective: Objective, v: Array, value: float, slope: Array, step: Array, lower: Array
) -> tuple[Array, tuple[float, Array, Array]] | None:
    """A point along a step, kept above the bounds, that is better by what the slope promises."""
    share = 1.0
    while share > 1e-12:
        new = np.maximum(v + share * step, lower)
        gain = -float(slope @ (new - v))
        if gain > 0:
            found = objective(new)
            if found[0] <= value - 1e-4 * gain:
                return new, found
        share /= 2
    return None


def require_shape(knots: int, smoothness: float) -> None:
    """Whether a bend can have such knots and such a penalty."""
    if not 2 <= knots <= MOST:
        raise UsageError(f"--knots must lie between 2 and {MOST}, not {knots:,}")
    if not 1e-9 <= smoothness <= 1e9:
        raise UsageError(f"--smoothness must lie between 1e-9 and 1e9, not {smoothness:g}")


def bend_basis(score: Array, knots: Array) -> Array:
    """(n, M): what a slope of 1 at each knot, and 0 at the others, adds up to from the first knot
    to a score: the integral of a hat, which stays flat beyond the outer knots."""
    gaps = np.diff(knots)
    k = np.clip(np.searchsorted(knots, score, side="right") - 1, 0, len(knots) - 1)
    d = score - knots[k]
    out = np.zeros((len(score), len(knots)))
    halves = np.concatenate([[0.0], gaps / 2]) + np.concatenate([gaps / 2, [0.0]])
    # hats that lie wholly below; of the two around the score, a part
    for j in range(len(knots)):
        out[:, j] = np.where(j < k, halves[j], 0)
    inside = (d >= 0) & (k < len(knots) - 1)
    gap = gaps[np.minimum(k, len(gaps) - 1)]
    rows = np.arange(len(score))
    before = np.where(k > 0, gaps[np.maximum(k - 1, 0)] / 2, 0)
    left = before + np.where(inside, d - d * d / (2 * gap), d)
    out[rows, k] = np.where(d < 0, d, left)
    at = rows[inside]
    out[at, k[inside] + 1] = (d * d / (2 * gap))[inside]
    return out


def roughness(knots: int) -> Array:
    """(M, M): the quadratic form of the sum of squared differences of neighbouring slopes."""
    d = np.diff(np.eye(knots), axis=0)
    return np.asarray(d.T @ d)
