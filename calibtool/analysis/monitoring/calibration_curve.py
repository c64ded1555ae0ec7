"""Calibration curves that bend at a few knots: the logit of P(y = 1) against that of the score.

Such a curve is a linear spline, sum over knots k of beta_k h_k(z), z the logit of the score, with
hat functions h_k that sum to 1 and go on in a straight line beyond the outer knots. Every map of
temperature or Platt scaling is one exactly.
"""

from __future__ import annotations

import math

import numpy as np

from calibtool.analysis.monitoring.grid import REACH, sigmoid
from calibtool.types import Array

FEWEST, MOST = 3, 12  # stretches of the first period
_FINEST, _COARSEST = 0.2, 1.0  # logits between two knots where a curve may bend
_STEPS = 100  # of Newton's method
_LIGHTEST, _HEAVIEST = 1e-9, 1e6  # of its damping, in units of the curvature
# changes are looked for in these sizes, up and down: of the level and the slope; in one place
SIZES, LOCAL = 0.05 * 2.0 ** np.arange(6), (0.3, 0.9)
_WIDE = 0.5  # logits between two places where a curve may bend by itself


def knots(z: Array, rows: Array) -> Array:
    """Where any curve may bend, as logits: at every step of a lattice, which is the finer the more
    rows the first period has, and holds the logits `z`; or at each of few distinct scores.

    A smooth curve is off by the square of a step, and that is seen in as many rows as one over the
    fourth power of it.
    """
    total, distinct = float(rows.sum()), np.flatnonzero(rows)
    if 8 * len(distinct) <= total and len(distinct) <= 64:
        return z[distinct]
    step = float(np.clip(3.5 * total**-0.25, _FINEST, _COARSEST))
    low, high = min(math.floor(z[0] / step), 0), max(math.ceil(z[-1] / step), 0)
    more = _apart(step)  # so that places whose changes reach the rows are there
    return step * np.arange(low - more, high + more + 1)


def stretches(z: Array, rows: Array, at: Array) -> Array:
    """(C,) the number of the stretch between two of some knots that each logit lies in: stretches
    of about as many rows each, and the more, the more rows there are."""
    heap = np.cumsum(rows) / rows.sum()
    count = int(np.clip(round(1.2 * float(rows.sum()) ** 0.25), FEWEST, MOST))
    cuts = z[np.searchsorted(heap, np.arange(1, count) / count)]
    near = at[np.unique(np.abs(at - cuts[:, None]).argmin(1))]
    return np.searchsorted(near, z, side="right")


def basis(z: Array, at: Array) -> Array:
    """(C, K) hats at C logits.

    >>> basis(np.array([0.5, 3.0]), np.array([0.0, 1.0, 2.0])).tolist()
    [[0.5, 0.5, 0.0], [0.0, -1.0, 2.0]]
    """
    if len(at) == 1:
        return np.ones((len(z), 1))
    left = np.clip(np.searchsorted(at, z, side="right") - 1, 0, len(at) - 2)
    share = (z - at[left]) / (at[left + 1] - at[left])
    hats = np.zeros((len(z), len(at)))
    row = np.arange(len(z))
    hats[row, left], hats[row, left + 1] = 1 - share, share
    return hats


def prior(at: Array, line: float, bend: float) -> Array:
    """(K, K) precision of a curve around another: of its level and slope at 0, and of how much the
    slope changes at each knot. Knots beyond those of the rows make no difference."""
    if len(at) == 1:
        return np.array([[line]])
    middle = int(np.argmin(np.abs(at)))
    lines = np.zeros((2, len(at)))
    lines[0, middle] = 1
    slopes = np.diff(np.eye(len(at)), axis=0) / np.diff(at)[:, None]
    lines[1] = slopes[min(middle, len(at) - 2)]
    bent = np.diff(slopes, axis=0)
    return np.asarray(line * lines.T @ lines + bend / step_of(at) * bent.T @ bent)


def fit(
    hats: Array,
    n: Array,
    y: Array,
    start: Array,
    precision: Array,
    towards: Array,
    enough: float = 1e-4,
) -> tuple[Array, Array]:
    """(T, K) curves of the greatest penalised likelihood, and (T,) that likelihood's logarithm: at
    least, for what the last step could still have gained is added.

    Newton's method, damped where a step leads too far (Levenberg 1944). Where the likelihood grows
    for ever, as at knots without a hit, it stops when it hardly does.

    Args:
        hats: (C, K).
        n, y: (T, C) rows and hits.
        start: (T, K) where to start.
        precision, towards: (K, K) and (T, K) of the penalty.
        enough: the gain below which to stop.
    """
    size, every = hats.shape[1], np.arange(hats.shape[1])
    squares, pairs = hats**2, hats[:, :-1] * hats[:, 1:]  # only neighbours overlap
    beta, best = start.copy(), log_penalised(hats, n, y, start, precision, towards)
    damp, gain = np.full(len(n), _LIGHTEST), np.full(len(n), np.inf)
    left = np.arange(len(n))
    for _ in range(_STEPS):
        own = (n[left], y[left])
        q = sigmoid(beta[left] @ hats.T)
        off = beta[left] - towards[left]
        slope = (own[1] - own[0] * q) @ hats - off @ precision
        heavy = own[0] * q * (1 - q)
        bend = np.tile(precision, (len(left), 1, 1))
        bend[:, every, every] += heavy @ squares
        for one, two in ((every[:-1], every[1:]), (every[1:], every[:-1])):
            bend[:, one, two] += heavy @ pairs
        size_of = 1 + np.trace(bend, axis1=1, axis2=2) / size
        bend += (damp[left] * size_of)[:, None, None] * np.eye(size)
        step = np.linalg.solve(bend, slope[:, :, None])[:, :, 0]
        found = log_penalised(hats, *own, beta[left] + step, precision, towards[left])
        good = found >= best[left]
        better = left[good]
        beta[better] += step[good]
        best[better] = found[good]
        gain[better] = (slope * step).sum(1)[good] / 2
        damp[left] = np.where(
            good, np.maximum(damp[left] / 100, _LIGHTEST), 100 * damp[left] + 1e-6
        )
        left = left[(gain[left] >= enough) & (damp[left] < _HEAVIEST)]
        if not len(left):
            break
    return beta, best + np.minimum(gain, 1.0)


def log_penalised(
    hats: Array, n: Array, y: Array, beta: Array, precision: Array, towards: Array
) -> Array:
    """(T,) penalised log-likelihoods of curves."""
    off = beta - towards
    return each(beta @ hats.T, n, y) - ((off @ precision) * off).sum(1) / 2


def each(curve: Array, n: Array, y: Array) -> Array:
    """(T,) log-likelihoods of (T, C) rows and hits, by a curve for each, (T, C) as logits."""
    return np.asarray((y * curve - n * softplus(curve)).sum(1))


def softplus(z: Array) -> Array:
    """log(1 + exp(z))."""
    return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))


def changes(at: Array) -> tuple[Array, Array, Array]:
    """What may become of a curve: `scale` (H,), `shift` (H, K) and weights (H,) that sum to 1. A
    curve beta turns into scale * beta + shift: moved up or down, stretched, or bent in a place; or
    it stays, with the share of the places where there are no rows, so that new scores change no
    weight."""
    sizes = np.concatenate([-SIZES, SIZES])
    few = np.concatenate([-np.array(LOCAL), LOCAL])
    apart = _apart(step_of(at))
    first = int(np.argmin(np.abs(at))) % apart  # always the same places, whatever the range
    tents = np.clip(basis(at, at[first::apart]), 0, 1)
    local = (few[:, None, None] * tents.T).reshape(-1, len(at))
    places = max(tents.shape[1], math.ceil(2 * REACH / (apart * step_of(at))))
    level = np.repeat(sizes[:, None], len(at), 1)
    shift = np.concatenate([level, np.zeros_like(level), local, np.zeros((1, len(at)))])
    scale = np.concatenate([np.ones(len(sizes)), np.exp(sizes), np.ones(len(local) + 1)])
    weights = np.full(len(scale), 1 / (3 * len(sizes)))
    weights[2 * len(sizes) :] = 1 / (3 * len(few) * places)
    weights[-1] = max(1 - weights[:-1].sum(), 0.0)
    return scale, shift, weights


def _apart(step: float) -> int:
    """Knots from one place where a curve may bend by itself to the next."""
    return max(1, round(_WIDE / step))


def step_of(at: Array) -> float:
    """Mean distance of two knots."""
    return float(at[-1] - at[0]) / (len(at) - 1) if len(at) > 1 else 1.0


def log_likelihood(curve: Array, n: Array, y: Array) -> Array:
    """(T, H) log-likelihoods of (T, C) rows and hits by curves, (H, C) as logits."""
    return np.asarray(y @ curve.T - n @ softplus(curve).T)
