"""Evidence of a change and of miscalibration, as e-processes.

An e-process starts at 1. As long as its null hypothesis is true, the probability that it ever
reaches 1 / alpha is at most alpha (Ville 1939), so it can be checked after every period and stopped
at any time. Rows must be independent given their scores; the distribution of the scores, and how it
changes, does not matter.

`of_change` tests that the calibration curve is the same in all periods, by universal inference
(Wasserman, Ramdas & Balakrishnan 2020, section 8): the numerator is the likelihood of curves that
were chosen before each period was seen, the denominator that of the best fixed curve for all
periods so far. `of_miscalibration` tests that the scores are calibrated: the denominator is the
likelihood of the scores themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.analysis.monitoring import calibration_curve
from calibtool.analysis.monitoring.calibration_curve import softplus
from calibtool.analysis.monitoring.grid import COARSE, FINE, logit, middles, pool, sigmoid
from calibtool.analysis.monitoring.mixture import WHILE, Evidence, Mixture, log_sum
from calibtool.types import Array

# Precisions of the bends of a learned curve: three ways to learn, from a curve that may bend at any
# knot to nearly a straight line. They are mixed, so a poor one costs log(3) of evidence at most.
_BENDS = (4.0, 100.0, 1e4)
# Precision of the level and slope of a learned curve around the identity: standard deviation 2.
_LINE = 0.25
# The same for a curve learned in a window, around the curve known before the window: its level and
# slope have a standard deviation of 0.35, since most changes are small.
_WINDOW_LINE, _WINDOW_BEND = 8.0, 16.0
# Gains in log-likelihood at which the fits of learned curves stop. A less exact curve is still a
# valid bet, so these fits need less precision than the denominator.
_LEARNED_ENOUGH, _WINDOW_ENOUGH = 0.01, 0.1
# Levels and logarithms of slopes of the curves that stand for the first period: levels within +-3,
# denser near 0, and slopes from 1 / 4.5 to 4.5.
_LEVELS = np.sinh(np.linspace(-3.2, 3.2, 65)) / 4
_SLOPES = np.linspace(-1.5, 1.5, 31)
_LEVEL_SPREAD, _SLOPE_SPREAD = 2.0, 0.5  # standard deviations of their normal priors


def of_change(at: Array, n: Array, y: Array) -> Evidence:
    """Return the evidence that the calibration curve has changed.

    Args:
        at: (C,) upper ends of the cells.
        n, y: (T, C) rows and positive outcomes, one line per period.
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
        followed = slice(tau, tau + WHILE)
        changed = scale[:, None] * before.learned[tau] + shift
        gains = calibration_curve.log_likelihood(changed @ hats.T, n[followed], y[followed])
        mixture.add(tau, gains, before.log_p[tau - 1], before.gain[tau])
    return mixture.evidence(_best_so_far(hats, n, y, before.learned))


def of_miscalibration(at: Array, n: Array, y: Array) -> Evidence:
    """Return the evidence that the scores are not calibrated; arguments as of `of_change`."""
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
    # one learned curve, whenever the change came: it is learned from all periods so far
    after = [learned] * max(len(n) - 1, 0).bit_length()
    mixture = Mixture(np.zeros(len(n)), prior, after, first=0.5)
    for tau in mixture.candidates:
        mixture.add(tau, gains[tau : tau + WHILE], 0.0, 0.0)
    return mixture.evidence(np.zeros(len(n)))


def _bets(curve: Array, low: Array, high: Array, n: Array, y: Array) -> Array:
    """Return (T, H) log-likelihood ratios of H curves, (H, C) logits, to the scores."""
    hit, miss = _ratios(curve, low, high)
    return np.asarray(y @ (hit - miss).T + n @ miss.T)


def _bets_each(curve: Array, low: Array, high: Array, n: Array, y: Array) -> Array:
    """Return (T,) log-likelihood ratios of one curve per period, (T, C) logits, to the scores."""
    hit, miss = _ratios(curve, low, high)
    return np.asarray((y * (hit - miss) + n * miss).sum(1))


def _ratios(curve: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return log q / s and log (1 - q) / (1 - s) for the worst score s in each cell.

    The scores within a cell are not known. s is the point of the cell nearest to the curve's
    probability q, which makes the expected ratio smallest: if the scores are calibrated, the
    expectation is at most 1 wherever in the cell they lie.
    """
    q = sigmoid(curve)
    s = np.clip(q, low, high)
    return np.log(q) - np.log(s), np.log1p(-q) - np.log1p(-s)


def _best_so_far(hats: Array, n: Array, y: Array, start: Array) -> Array:
    """Return (T,) log-likelihoods of the best fixed curve for the periods up to each."""
    no_penalty = np.zeros((hats.shape[1], hats.shape[1]))
    sums = np.cumsum(n, 0), np.cumsum(y, 0)
    return calibration_curve.fit(hats, *sums, start, no_penalty, start)[1]


@dataclass(frozen=True, eq=False)
class _Before:
    """Curves that were known before each period, and how well they predict it.

    Attributes:
        learned: (T, K) curve learned from the periods before each.
        gain: (T,) log-likelihood of each period by that curve.
        log_p: (T,) log-likelihood of all periods up to each, where every period is predicted by
            curves known before it: a mixture of the ways to learn.
    """

    learned: Array
    gain: Array
    log_p: Array


def _before(hats: Array, z: Array, n: Array, y: Array, knots: Array) -> _Before:
    """Return the learned curves; for each period, of the way that has predicted best so far."""
    ways = np.stack([_learned(hats, n, y, knots, bend) for bend in _BENDS])
    gains = np.stack([calibration_curve.each(way @ hats.T, n, y) for way in ways])
    gains[:, 0] = _first(z, n[0], y[0], knots)
    cumulative = np.cumsum(gains, axis=1)
    best = np.concatenate([[0], np.argmax(cumulative, axis=0)[:-1]])
    every = np.arange(len(n))
    log_p = log_sum(cumulative, axis=0) - np.log(len(ways))
    return _Before(ways[best, every], gains[best, every], log_p)


def _learned(hats: Array, n: Array, y: Array, knots: Array, bend: float) -> Array:
    """Return (T, K) curves, each learned from the periods before it; the first is the identity."""
    precision = calibration_curve.prior(knots, _LINE, bend)
    sums = np.cumsum(n, 0)[:-1], np.cumsum(y, 0)[:-1]
    curves = np.tile(knots, (len(n), 1))
    prior = curves[1:]
    curves[1:], _ = calibration_curve.fit(hats, *sums, prior, precision, prior, _LEARNED_ENOUGH)
    return curves


def _after(hats: Array, n: Array, y: Array, learned: Array, knots: Array) -> list[Array]:
    """Return how well curves learned in a window predict the period after it.

    For windows of 1, 2, 4, ... periods, these are (T,) log-likelihoods of each period by the curve
    learned in the window before it, around the curve that was known before the window. A value is
    NaN where the window would begin before the first period.
    """
    precision = calibration_curve.prior(knots, _WINDOW_LINE, _WINDOW_BEND)
    zero = np.zeros((1, n.shape[1]))
    sums = [np.concatenate([zero, np.cumsum(x, 0)]) for x in (n, y)]
    gains = []
    for k in range(max(len(n) - 1, 0).bit_length()):
        width = 2**k
        rows, hits = (total[width:-1] - total[: -width - 1] for total in sums)
        before = learned[: len(n) - width]
        curves, _ = calibration_curve.fit(
            hats, rows, hits, before, precision, before, _WINDOW_ENOUGH
        )
        gain = np.full(len(n), np.nan)
        gain[width:] = calibration_curve.each(curves @ hats.T, n[width:], y[width:])
        gains.append(gain)
    return gains


def _first(z: Array, n: Array, y: Array, knots: Array) -> float:
    """Return the log-likelihood of the first period, before which nothing is known.

    It is a mixture, half of straight lines with any level and slope, half of curves whose level
    differs in each stretch of the scores. Both halves integrate over normal priors on a grid.
    """
    a, c = np.meshgrid(_LEVELS, np.exp(_SLOPES))
    curve = a.reshape(-1, 1) + c.reshape(-1, 1) * z
    weight = -((a / _LEVEL_SPREAD) ** 2) / 2 - (np.log(c) / _SLOPE_SPREAD) ** 2 / 2
    lines = calibration_curve.log_likelihood(curve, n[None], y[None])[0] + weight.ravel()
    line = log_sum(lines) - log_sum(weight)
    curve = _LEVELS[:, None] + z
    gains = curve * y - softplus(curve) * n
    group = calibration_curve.stretches(z, n, knots)
    parts = np.add.reduceat(gains, np.flatnonzero(np.diff(group, prepend=-1)), axis=1)
    prior = -((_LEVELS / _LEVEL_SPREAD) ** 2) / 2
    free = (log_sum(parts + prior[:, None], axis=0) - log_sum(prior)).sum()
    return float(np.logaddexp(line, free) - np.log(2))
