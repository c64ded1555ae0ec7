"""Evidence of a change, and of miscalibration: e-processes.

An e-process starts at 1 and, as long as its hypothesis is true, reaches 1 / alpha at any time with
probability alpha at most (Ville 1939): one may look after every period, and stop when one likes.
Rows are independent given their scores; how scores are distributed, and how that changes, does not
matter.

`of_change` tests that the calibration curve stays what it is, whatever it is, by universal
inference (Wasserman, Ramdas & Balakrishnan 2020, section 8): the likelihood of curves that were
chosen before each period was seen, over that of the best fixed curve for all periods so far.
`of_miscalibration` tests that scores are calibrated: the likelihood of curves that were chosen
before, over that of the scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.analysis.monitoring import calibration_curve
from calibtool.analysis.monitoring.calibration_curve import softplus
from calibtool.analysis.monitoring.grid import COARSE, FINE, logit, middles, pool, sigmoid
from calibtool.analysis.monitoring.mixture import WHILE, Evidence, Mixture, log_sum
from calibtool.types import Array

# precision of bends, where a curve is learned: three ways, from what may bend at each knot to what
# is as good as a line
_BENDS = (4.0, 100.0, 1e4)
# levels and logarithms of slopes of a first curve
_LEVELS = np.sinh(np.linspace(-3.2, 3.2, 65)) / 4
_SLOPES = np.linspace(-1.5, 1.5, 31)


def of_change(at: Array, n: Array, y: Array) -> Evidence:
    """Evidence that the calibration curve has changed.

    Args:
        at: (C,) upper ends of the cells.
        n, y: (T, C) rows and hits, a line a period.
    """
    (at, n), (_, y) = pool(at, n, COARSE), pool(at, y, COARSE)
    used = n.sum(0) > 0
    n, y, z = n[:, used], y[:, used], logit(middles(at))[used]
    knots = calibration_curve.knots(z, n[0])
    hats = calibration_curve.basis(z, knots)
    before = _before(hats, z, n, y, knots)
    after = _after(hats, n, y, before.learned, knots)
    scale, shift, prior = calibration_curve.changes(knots)
    mixture = Mixture(before.log_p, prior, after)
    for tau in mixture.candidates[1:]:
        some = slice(tau, tau + WHILE)
        changed = scale[:, None] * before.learned[tau] + shift
        gains = calibration_curve.log_likelihood(changed @ hats.T, n[some], y[some])
        mixture.add(tau, gains, before.log_p[tau - 1], before.gain[tau])
    return mixture.evidence(_best_so_far(hats, n, y, before.learned))


def of_miscalibration(at: Array, n: Array, y: Array) -> Evidence:
    """Evidence that the scores are not calibrated. Arguments as of `of_change`."""
    (at, n), (_, y) = pool(at, n, FINE), pool(at, y, FINE)
    used = n.sum(0) > 0
    low = np.concatenate([[0.0], at[:-1]])[used]
    n, y, high = n[:, used], y[:, used], np.asarray(at, np.float64)[used]
    z = logit((low + high) / 2)
    knots = calibration_curve.knots(z, n[0])
    hats = calibration_curve.basis(z, knots)
    scale, shift, prior = calibration_curve.changes(knots)
    gains = _bets(scale[:, None] * z + shift @ hats.T, low, high, n, y)
    learned = _bets_each(_learned(hats, n, y, knots, _BENDS[0]) @ hats.T, low, high, n, y)
    after = [learned] * max(len(n) - 1, 0).bit_length()
    mixture = Mixture(np.zeros(len(n)), prior, after, first=0.5)
    for tau in mixture.candidates:
        mixture.add(tau, gains[tau : tau + WHILE], 0.0, 0.0)
    return mixture.evidence(np.zeros(len(n)))


def _bets(curve: Array, low: Array, high: Array, n: Array, y: Array) -> Array:
    """(T, H) log-likelihood ratios of curves, (H, C) as logits, to the scores."""
    hit, miss = _ratios(curve, low, high)
    return np.asarray(y @ (hit - miss).T + n @ miss.T)


def _bets_each(curve: Array, low: Array, high: Array, n: Array, y: Array) -> Array:
    """(T,) the same of a curve for each period, (T, C)."""
    hit, miss = _ratios(curve, low, high)
    return np.asarray((y * (hit - miss) + n * miss).sum(1))


def _ratios(curve: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Log q / s and log (1 - q) / (1 - s) of the score s in each cell, between its ends, that makes
    the expected ratio smallest: whatever the scores in the cell, it is at most 1 if they are
    calibrated."""
    q = sigmoid(curve)
    s = np.clip(q, low, high)
    return np.log(q) - np.log(s), np.log1p(-q) - np.log1p(-s)


def _best_so_far(hats: Array, n: Array, y: Array, start: Array) -> Array:
    """(T,) log-likelihood of the best fixed curve for the periods up to each."""
    none = np.zeros((hats.shape[1], hats.shape[1]))
    return calibration_curve.fit(hats, np.cumsum(n, 0), np.cumsum(y, 0), start, none, start)[1]


@dataclass(frozen=True, eq=False)
class _Before:
    """What the past says before each period.

    Attributes:
        learned: (T, K) the curve that the periods before have taught.
        gain: (T,) log-likelihood of each period by it.
        log_p: (T,) log-likelihood of all periods up to each, every one by curves that were known
            before it: a mixture of the ways to learn.
    """

    learned: Array
    gain: Array
    log_p: Array


def _before(hats: Array, z: Array, n: Array, y: Array, knots: Array) -> _Before:
    """The curve is that of the way to learn that has foretold best."""
    ways = np.stack([_learned(hats, n, y, knots, bend) for bend in _BENDS])
    gains = np.stack([calibration_curve.each(way @ hats.T, n, y) for way in ways])
    gains[:, 0] = _first(z, n[0], y[0], knots)
    heap = np.cumsum(gains, axis=1)
    best = np.concatenate([[0], np.argmax(heap, axis=0)[:-1]])
    every = np.arange(len(n))
    log_p = log_sum(heap, axis=0) - np.log(len(ways))
    return _Before(ways[best, every], gains[best, every], log_p)


def _learned(hats: Array, n: Array, y: Array, knots: Array, bend: float) -> Array:
    """(T, K) curves, each learned from the periods before."""
    precision = calibration_curve.prior(knots, 0.25, bend)
    heap_n, heap_y = np.cumsum(n, 0)[:-1], np.cumsum(y, 0)[:-1]
    found = np.tile(knots, (len(n), 1))
    found[1:] = calibration_curve.fit(hats, heap_n, heap_y, found[1:], precision, found[1:], 0.01)[
        0
    ]
    return found


def _after(hats: Array, n: Array, y: Array, learned: Array, knots: Array) -> list[Array]:
    """For windows of 1, 2, 4, ... periods: (T,) the log-likelihood of each period by the curve that
    the window before it teaches, starting from what was known before the window. Where the window
    would reach back beyond the first period, it is NaN."""
    precision = calibration_curve.prior(knots, 8.0, 16.0)
    none = np.zeros((1, n.shape[1]))
    heap_n, heap_y = (np.concatenate([none, np.cumsum(x, 0)]) for x in (n, y))
    found = []
    for k in range(max(len(n) - 1, 0).bit_length()):
        wide = 2**k
        rows, hits = (heap[wide:-1] - heap[: -wide - 1] for heap in (heap_n, heap_y))
        was = learned[: len(n) - wide]
        own = calibration_curve.fit(hats, rows, hits, was, precision, was, 0.1)[0]
        gain = np.full(len(n), np.nan)
        gain[wide:] = calibration_curve.each(own @ hats.T, n[wide:], y[wide:])
        found.append(gain)
    return found


def _first(z: Array, n: Array, y: Array, knots: Array) -> float:
    """Log-likelihood of the first period, before which nothing is known: a mixture of straight
    lines, and of curves that are moved between any two knots by themselves."""
    a, c = np.meshgrid(_LEVELS, np.exp(_SLOPES))
    curve = a.reshape(-1, 1) + c.reshape(-1, 1) * z
    weight = -((a / 2) ** 2) / 2 - (np.log(c) / 0.5) ** 2 / 2
    lines = calibration_curve.log_likelihood(curve, n[None], y[None])[0] + weight.ravel()
    line = log_sum(lines) - log_sum(weight)
    curve = _LEVELS[:, None] + z
    gains = curve * y - softplus(curve) * n
    group = calibration_curve.stretches(z, n, knots)
    parts = np.add.reduceat(gains, np.flatnonzero(np.diff(group, prepend=-1)), axis=1)
    prior = -((_LEVELS / 2) ** 2) / 2
    free = (log_sum(parts + prior[:, None], axis=0) - log_sum(prior)).sum()
    return float(np.logaddexp(line, free) - np.log(2))
