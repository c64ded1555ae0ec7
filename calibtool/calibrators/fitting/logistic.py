"""Logistic regression on cells by damped Newton steps: the fit of Platt and beta calibrators."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from calibtool.errors import FitError
from calibtool.types import Array

STEPS = 100  # Newton's; fits with an optimum take 5 to 10
# A step that promises to gain less than this, in nats per row, is below the rounding of the mean
# NLL (of order 1, 2e-16 relative, summed over many cells).
ENOUGH = 1e-14
# Such a step is still taken if no coefficient moves further than this: Newton's error is then of
# the order of its square. A longer one leads along a direction that hardly bends: it is rounding.
NEAR = 1e-5
# Coefficients of log-odds beyond this mean that there is no optimum: a slope of 1e6 turns any
# difference of scores into certainty.
FAR = 1e6
# So does a mean NLL below this: every row is predicted with a probability of 1 - 1e-9.
CERTAIN = 1e-9
# Cells from which on a search begins at the optimum of groups of them, how many groups there are,
# and the gain in nats below which the search among groups ends. A group counts as a cell at its
# mean, which shifts the optimum by some 1e-4. Newton's steps square what is left: two of all cells
# follow, in place of some six.
MANY = 2048
GROUPS = 512
ROUGHLY = 1e-8
ARMIJO = 1e-4  # share of the promised gain that a step must bring (Nocedal & Wright 2006, sec. 3.1)


def logistic(
    x: Array, n: Array, y: Array, remedy: str, start: Array | None = None
) -> tuple[Array, float]:
    """Return the v that minimises the NLL of y positives among n rows at sigmoid(v x).

    Of many cells, the search begins at the optimum of groups of them: two steps are left.

    Args:
        x: (F, C) features of C cells, which lie in the order of their scores.
        n, y: (C,) rows and positives of each cell; they need not be whole numbers.
        remedy: what to do if there is no optimum, for the message.
        start: (F,) where to begin, such as the v that changes nothing; the search begins at 0 if
            that is better. There is one optimum, so this decides about the number of steps only.

    Returns v, (F,), and the mean NLL in nats. Raises FitError if there is no finite optimum.
    """
    begin = np.zeros(len(x)) if start is None else start
    if x.shape[1] > MANY:
        with suppress(FitError):  # where the groups are separated, all cells need not be
            begin = _search(*grouped(x, n, y), begin, ROUGHLY, remedy)[0]
    return _search(x, n, y, begin, ENOUGH, remedy)


def _search(
    x: Array, n: Array, y: Array, start: Array, enough: float, remedy: str
) -> tuple[Array, float]:
    """Return what `logistic` does, to steps that promise to gain no more than `enough`."""
    total, v = n.sum(), start
    value, p = nll_at(v @ x, n, y)
    if not value < np.log(2):  # that of v = 0
        v = np.zeros(len(x))
        value, p = nll_at(v @ x, n, y)
    for _ in range(STEPS):
        expected = n * p
        slope = x @ (expected - y) / total
        curve = gram(x, expected * (1 - p) / total)
        # least squares: with features that are multiples of one another, as with two cells and
        # three parameters, the matrix is singular and any of the solutions will do
        step = np.linalg.lstsq(curve, -slope, rcond=1e-14)[0]
        gain = -float(slope @ step)
        if gain <= enough:
            return (v + step if np.abs(step).max() <= NEAR else v), value
        share = 1.0
        new = nll_at((v + step) @ x, n, y)
        while new[0] > value - ARMIJO * share * gain + 1e-16:
            share /= 2
            if share < 1e-9:
                return v, value  # what is left to gain is less than rounding
            new = nll_at((v + share * step) @ x, n, y)
        v, (value, p) = v + share * step, new
        if np.abs(v).max() > FAR or value < CERTAIN:
            break
    raise FitError(
        f"positives and negatives are separated perfectly, so there is no finite optimum; {remedy}"
    )


def gram(x: Array, w: Array) -> Array:
    """Return (x * w) @ x.T, (F, F), of few rows x, (F, C), and weights, (C,).

    Of many cells row by row: a product of two matrices is packed by BLAS first, which takes twice
    as long here, and computes both halves.
    """
    if x.shape[1] <= MANY:
        return np.asarray((x * w) @ x.T)
    out = np.empty((len(x), len(x)))
    for i, row in enumerate(x):
        out[i, : i + 1] = out[: i + 1, i] = x[: i + 1] @ (row * w)
    return out


def grouped(x: Array, n: Array, y: Array) -> tuple[Array, Array, Array]:
    """Return cells in at most GROUPS groups of neighbours: mean features (F, G), and sums (G,).

    Neither many rows nor features far apart are in one group, as far as cells allow: groups end at
    equal steps of the share of the rows plus the share of the way along the features.

    >>> x = np.stack([np.arange(4000.0), np.ones(4000)])
    >>> means, n, y = grouped(x, np.ones(4000), np.arange(4000) % 2)
    >>> means.shape, float(n.sum()), float(y.sum())
    ((2, 512), 4000.0, 2000.0)
    """
    along = np.zeros(len(n))
    np.cumsum(np.abs(np.diff(x)).sum(axis=0), out=along[1:])
    place = np.cumsum(n)
    place /= place[-1]
    if along[-1] > 0:  # features that are all the same lead nowhere
        place += along / along[-1]
    ends = np.searchsorted(place, np.arange(1, GROUPS) / (GROUPS / 2))
    ends = ends[ends < len(n)]
    starts = np.append(0, ends[np.diff(ends, prepend=0) > 0])
    rows = np.add.reduceat(n, starts)
    some = rows > 0
    means = np.add.reduceat(x * n, starts, axis=1)[:, some] / rows[some]
    return means, rows[some], np.add.reduceat(y, starts)[some]


def require_both(n: Array, y: Array, remedy: str) -> None:
    """Raise FitError if all rows are positives, or all negatives."""
    if not 0 < y.sum() < n.sum():
        which = "positives" if y.sum() == 0 else "negatives"
        raise FitError(f"there are no {which} among the {n.sum():g} rows; {remedy}")


def require_spread(score: Array) -> None:
    """Raise FitError if all rows have the same score."""
    if len(score) < 2:
        raise FitError(
            "every row has the same score, so there is no slope to fit; use bbq or histogram, "
            "which only count"
        )


def nll_at(s: Array, n: Array, y: Array) -> tuple[float, Array]:
    """Return the mean NLL of y positives among n rows at scores s, and the sigmoids of these."""
    # log(1 + exp(s)) and the sigmoid of one exponential, which is at most 1
    with np.errstate(under="ignore"):
        small = np.exp(-np.abs(s))
    value = float((n @ (np.maximum(s, 0) + np.log1p(small)) - y @ s) / n.sum())
    return value, np.where(s >= 0, 1, small) / (1 + small)
