"""Calibration curves: the logit of P(y = 1) as a linear spline of the logit of the score.

A curve is the sum over knots k of beta_k h_k(z), where z is the logit of the score and the h_k are
hat functions that sum to 1 and continue as straight lines beyond the outer knots. Every map of
temperature or Platt scaling is such a curve exactly.
"""

from __future__ import annotations

import math

import numpy as np

from calibtool.analysis.monitoring.grid import REACH, sigmoid
from calibtool.types import Array

# Fewest and most stretches of scores that the first period is parted into. Each costs evidence, as
# its level has to be learned; too few of them miss the shape of the curve.
FEWEST, MOST = 3, 12
# Smallest and largest distance of two knots, in logits. Nearer knots cost time, at most (2 REACH /
# 0.2)^3 operations per fit; with wider ones a curve could hardly bend within the usual scores.
_FINEST, _COARSEST = 0.2, 1.0
_STEPS = 100  # most steps of Newton's method; a bound in case it does not converge
# Smallest and largest damping of Newton's method, in units of the mean curvature. At the largest a
# step is so short that the fit has stopped.
_LIGHTEST, _HEAVIEST = 1e-9, 1e6
# Sizes, up and down, of the changes that are listed: of the level and of the slope in logits from
# 0.05 to 1.6, each twice the one before it, so that any change is within a factor of 1.5 of one;
# and of the level at one place.
SIZES, LOCAL = 0.05 * 2.0 ** np.arange(6), (0.3, 0.9)
_WIDE = 0.5  # logits between two places at which a local change is listed


def knots(z: Array, rows: Array) -> Array:
    """Return the logits at which curves may bend.

    Args:
        z: (C,) logits of the cells, increasing.
        rows: (C,) rows of the first period in each cell.

    Few distinct scores (at most 64, with at least 8 rows each on average) are knots themselves.
    Otherwise the knots are a lattice that covers `z`, finer the more rows the first period has. The
    spline differs from a smooth curve by the order of the square of a step h, and N rows detect a
    difference of N^(-1/2): h = O(N^(-1/4)) keeps the spline's error below what the rows show.
    """
    total, distinct = float(rows.sum()), np.flatnonzero(rows)
    if 8 * len(distinct) <= total and len(distinct) <= 64:
        return z[distinct]
    # the factor makes a step of 0.35 logits for 10,000 rows, which reaches _COARSEST for 150
    step = float(np.clip(3.5 * total**-0.25, _FINEST, _COARSEST))
    low, high = min(math.floor(z[0] / step), 0), max(math.ceil(z[-1] / step), 0)
    beyond = _apart(step)  # so that places beyond the rows, whose changes reach them, are knots
    return step * np.arange(low - beyond, high + beyond + 1)


def stretches(z: Array, rows: Array, at: Array) -> Array:
    """Return (C,) numbers of the stretch that each logit lies in.

    Stretches end at knots, hold about equal numbers of rows, and grow in number with the fourth
    root of the rows, as the knots do.

    Args:
        z: (C,) logits of the cells, increasing.
        rows: (C,) rows in each cell.
        at: (K,) knots.
    """
    share = np.cumsum(rows) / rows.sum()
    # the factor makes the MOST stretches for 10,000 rows
    count = int(np.clip(round(1.2 * float(rows.sum()) ** 0.25), FEWEST, MOST))
    cuts = z[np.searchsorted(share, np.arange(1, count) / count)]
    near = at[np.unique(np.abs(at - cuts[:, None]).argmin(1))]
    return np.searchsorted(near, z, side="right")


def basis(z: Array, at: Array) -> Array:
    """Return (C, K) values of the hat functions of K knots at C logits.

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
    """Return the (K, K) precision matrix of a curve around another.

    Args:
        at: (K,) knots.
        line: precision of the level and of the slope at logit 0.
        bend: precision of the change of the slope, per logit; large values make straight lines.

    Knots beyond those that the rows reach make no difference.
    """
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
    """Fit T curves at once, by penalised maximum likelihood.

    Newton's method, damped where a step lowers the likelihood (Levenberg 1944). Where the
    likelihood has no maximum, as at knots without a positive outcome, it stops when the gain is
    small.

    Args:
        hats: (C, K) values of the hat functions.
        n, y: (T, C) rows and positive outcomes.
        start: (T, K) coefficients to start from.
        precision: (K, K) precision matrix of the penalty.
        towards: (T, K) coefficients that the penalty pulls towards.
        enough: gain in log-likelihood below which to stop.

    Returns (T, K) coefficients, and (T,) largest penalised log-likelihoods. The predicted gain of
    the last step is added to these once more, as about the most that is left to be gained: as the
    likelihood of the null hypothesis, the value must not be too small, or e-values are too large.
    """
    size, every = hats.shape[1], np.arange(hats.shape[1])
    squares, pairs = hats**2, hats[:, :-1] * hats[:, 1:]  # only neighbours overlap
    beta, best = start.copy(), log_penalised(hats, n, y, start, precision, towards)
    damp, gain = np.full(len(n), _LIGHTEST), np.full(len(n), np.inf)
    left = np.arange(len(n))
    for _ in range(_STEPS):
        rows, hits = n[left], y[left]
        q = sigmoid(beta[left] @ hats.T)
        off = beta[left] - towards[left]
        gradient = (hits - rows * q) @ hats - off @ precision
        weight = rows * q * (1 - q)
        hessian = np.tile(precision, (len(left), 1, 1))
        hessian[:, every, every] += weight @ squares
        for i, j in ((every[:-1], every[1:]), (every[1:], every[:-1])):
            hessian[:, i, j] += weight @ pairs
        curvature = 1 + np.trace(hessian, axis1=1, axis2=2) / size
        hessian += (damp[left] * curvature)[:, None, None] * np.eye(size)
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        value = log_penalised(hats, rows, hits, beta[left] + step, precision, towards[left])
        good = value >= best[left]
        better = left[good]
        beta[better] += step[good]
        best[better] = value[good]
        gain[better] = (gradient * step).sum(1)[good] / 2  # as the quadratic model predicts
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
    """Return (T,) penalised log-likelihoods of T curves; arguments as of `fit`."""
    off = beta - towards
    return each(beta @ hats.T, n, y) - ((off @ precision) * off).sum(1) / 2


def each(curve: Array, n: Array, y: Array) -> Array:
    """Return (T,) log-likelihoods of (T, C) rows and positive outcomes, each by its own curve.

    `curve` holds (T, C) logits.
    """
    return np.asarray((y * curve - n * softplus(curve)).sum(1))


def softplus(z: Array) -> Array:
    """Return log(1 + exp(z)), without overflow."""
    return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))


def changes(at: Array) -> tuple[Array, Array, Array]:
    """Return the listed changes of a curve.

    A curve beta becomes scale * beta + shift. It is moved up or down, stretched, bent at one place,
    or unchanged. The three kinds have equal weight. Places are counted over the whole range of
    logits up to REACH; those without knots give their weight to "unchanged", so that scores in a
    new range do not change the weight of any other change.

    Returns scale (H,), shift (H, K) and prior weights (H,) that sum to 1.
    """
    sizes = np.concatenate([-SIZES, SIZES])
    local_sizes = np.concatenate([-np.array(LOCAL), LOCAL])
    apart = _apart(step_of(at))
    first = int(np.argmin(np.abs(at))) % apart  # logit 0 is a place, whatever the range of knots
    tents = np.clip(basis(at, at[first::apart]), 0, 1)
    local = (local_sizes[:, None, None] * tents.T).reshape(-1, len(at))
    places = max(tents.shape[1], math.ceil(2 * REACH / (apart * step_of(at))))
    level = np.repeat(sizes[:, None], len(at), 1)
    shift = np.concatenate([level, np.zeros_like(level), local, np.zeros((1, len(at)))])
    scale = np.concatenate([np.ones(len(sizes)), np.exp(sizes), np.ones(len(local) + 1)])
    weights = np.full(len(scale), 1 / (3 * len(sizes)))
    weights[2 * len(sizes) :] = 1 / (3 * len(local_sizes) * places)
    weights[-1] = max(1 - weights[:-1].sum(), 0.0)
    return scale, shift, weights


def _apart(step: float) -> int:
    """Return the number of knots from one place of a local change to the next."""
    return max(1, round(_WIDE / step))


def step_of(at: Array) -> float:
    """Return the mean distance of two knots; 1 for a single knot."""
    return float(at[-1] - at[0]) / (len(at) - 1) if len(at) > 1 else 1.0


def log_likelihood(curve: Array, n: Array, y: Array) -> Array:
    """Return (T, H) log-likelihoods of (T, C) rows and positive outcomes by H curves.

    `curve` holds (H, C) logits.
    """
    return np.asarray(y @ curve.T - n @ softplus(curve).T)
