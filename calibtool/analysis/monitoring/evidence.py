"""Evidence of a change and of miscalibration, which may be looked at after every period.

Both start at 1. As long as their null hypothesis is true, the probability that they ever reach
1 / alpha is at most alpha (Ville 1939). Rows must be independent given their scores; the
distribution of the scores, and how it changes, does not matter.

`of_change` tests that P(y = 1 | score) is the same in all periods, whatever it is. The outcomes of
a period are compared with all outcomes so far by scores that are exactly independent and standard
normal under this hypothesis (`normal_scores`). The evidence is their likelihood under a mixture of
changes over that without: a martingale. Nothing has to be learned or maximised, so that no evidence
is lost to what the curve is. Which rows there are must not depend on earlier outcomes.

`of_miscalibration` tests that the scores are calibrated. Rows with scores s, a mean score m and
outcomes y in a cell of a period multiply the evidence by the product of 1 + b (y - m), where b is
known before the outcomes. Its expectation is the product of 1 + b (s - m), which is at most 1: the
logarithm is concave, and s - m is 0 in the mean. So cells need not be narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.analysis.monitoring import change_time, shape_bets
from calibtool.analysis.monitoring.grid import COARSE, logit, middles, pool
from calibtool.analysis.monitoring.normal_scores import normal_scores
from calibtool.analysis.monitoring.score_groups import ScoreGroups, groups_of, information
from calibtool.intervals.streams import Stream, generator
from calibtool.parallel import cores, ordered, within_room
from calibtool.types import Array

# Candidates whose bets are computed together: 30 MiB at most for 10,000 periods and 12 groups.
# Periods before the first of them need not be looked at.
_TOGETHER = 32
_CACHED = 8  # of those, the candidates whose shapes are compared at a time, within the cache
_HELD = 64  # bytes of a thread per candidate, period and group: as many as eight arrays of them
# Sizes of the changes that are bet on, in log-odds: each twice the one before it, so that any
# change is within a factor of 1.5 of one; and their weights, more for small ones.
_SIZES = 0.05 * 2.0 ** np.arange(6)
_SIZE_WEIGHTS = np.array([3, 3, 2, 2, 1, 1]) / 12
# Weights of the kinds of miscalibration: level, slope, one group alone, and a curve that is
# learned.
_LEVEL, _SLOPE, _PLACE, _LEARNED = 0.35, 0.15, 0.2, 0.3
_MEMORIES = (np.inf, 16.0, 4.0)  # half-lives, in periods, of what a curve is learned from
_CAUTION = 16.0  # information in favour of no miscalibration: a standard deviation of 0.25
_FARTHEST = 20.0  # largest logit of a score, as slopes are computed; 2e-9


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence after each period.

    Attributes:
        log_e: (T,) natural logarithm of the e-value.
        when: (T,) posterior probability, after the last period, that the change came with each
            period. The rest to 1 is the probability that there was no change.
    """

    log_e: Array
    when: Array


def of_change(at: Array, n: Array, y: Array) -> Evidence:
    """Return the evidence that P(y = 1 | score) has changed.

    Args:
        at: (C,) upper ends of the cells.
        n, y: (T, C) rows and positive outcomes, one line per period.
    """
    (at, n), (_, y) = pool(at, n, COARSE), pool(at, y, COARSE)
    used = n.sum(0) > 0
    score = middles(at)[used]
    n, y = n[:, used], y[:, used]
    groups = groups_of(logit(score), n, score)
    periods = len(n)
    uniform = generator(Stream.CHANGE, 0).random((periods, groups.count))
    z = normal_scores(n, y, groups.of, uniform)
    starts, weights, left = change_time.candidates(periods)
    total, when = np.log(left), np.zeros(periods)
    totals, shares = np.cumsum(n, 0), _shares(n, groups, information(score))
    at_once = [slice(first, first + _TOGETHER) for first in range(0, len(starts), _TOGETHER)]

    def likelihood(at: slice) -> Array:
        w = _expected(totals, shares, groups, starts[at])
        a, b = np.cumsum(w * z[starts[at][0] :], axis=1), np.cumsum(w**2, axis=1)
        few = [slice(k, k + _CACHED) for k in range(0, len(a), _CACHED)]
        ratios = np.concatenate([shape_bets.log_ratio(a[part], b[part], groups) for part in few])
        return np.asarray(ratios + np.log(weights[at])[:, None])

    threads = within_room(cores(), _HELD * _TOGETHER * z.size)
    for part, log_p in zip(at_once, ordered(likelihood, at_once, threads), strict=True):
        some = starts[part]
        log_p[np.arange(some[0], periods) < some[:, None]] = -np.inf
        total[some[0] :] = np.logaddexp(total[some[0] :], np.logaddexp.reduce(log_p, axis=0))
        when[some] = log_p[:, -1]
    when[starts] = np.exp(when[starts] - total[-1])
    return Evidence(total, when)


def _shares(n: Array, groups: ScoreGroups, weight: Array) -> Array:
    """Return (T, C) means of normal scores, per change of the log-odds and earlier row of a cell.

    The totals that a period is compared with contain the rows since the change, too: only the share
    of those before it, of all rows so far in a cell, makes a difference.
    """
    rows = n * weight
    compared = np.divide(rows, np.cumsum(n, 0), out=np.zeros_like(rows), where=n > 0)
    member = groups.of[:, None] == np.arange(groups.count)
    variance = (rows - n * compared) @ member
    known = variance > 1e-9 * (rows @ member)  # some cell has earlier rows
    known[: groups.start] = False
    scale = np.divide(1, np.sqrt(variance), out=np.zeros_like(variance), where=known)
    return np.asarray(compared * scale[:, groups.of])


def _expected(totals: Array, shares: Array, groups: ScoreGroups, starts: Array) -> Array:
    """Return (S, T - first, G) means of normal scores, per change of the log-odds with each start,
    of the periods from the first start on.

    Args:
        totals: (T, C) rows of each cell so far.
        shares: as `_shares` returns them.
        groups: the groups of the cells.
        starts: (S,) numbers of periods.
    """
    first = int(starts[0])
    means = np.zeros((len(starts), len(totals) - first, groups.count))
    for g in range(groups.count):
        here = groups.of == g
        means[:, :, g] = totals[starts - 1][:, here] @ shares[first:, here].T
    means[np.arange(first, len(totals)) < starts[:, None]] = 0.0
    return means


def of_miscalibration(at: Array, n: Array, p: Array, y: Array) -> Evidence:
    """Return the evidence that the scores are not calibrated.

    Args:
        at: (C,) upper ends of the cells.
        n, p, y: (T, C) rows, their score mass and positive outcomes, one line per period.
    """
    (at, n), (_, p), (_, y) = (pool(at, x, COARSE) for x in (n, p, y))
    used = n.sum(0) > 0
    n, p, y, z = n[:, used], p[:, used], y[:, used], logit(middles(at))[used]
    score = np.clip(np.divide(p, n, out=np.zeros_like(p), where=n > 0), 0, 1)
    groups = groups_of(z, n, score)
    weights, gains = _bets(n, score, y, groups)
    periods = len(n)
    later, left = (x / 2 for x in change_time.weights_of(np.arange(1, periods + 1)))
    starts, left = np.log(np.append(0.5, later)), np.append(0.5, left)
    total = np.empty(periods)
    running = np.full(len(weights), -np.inf)
    for t in range(periods):
        running = np.logaddexp(running, starts[t]) + gains[t]
        total[t] = np.logaddexp(np.log(left[t]), np.logaddexp.reduce(running + np.log(weights)))
    return Evidence(total, _dated(n, score, y, groups, starts, np.log(left[-1])))


def _dated(
    n: Array, score: Array, y: Array, groups: ScoreGroups, starts: Array, none: float
) -> Array:
    """Return (T,) posterior probabilities that the scores were calibrated until each period.

    What is learned from all periods bets well without knowing when a change came. So this is told
    by the shapes of `shape_bets`, with the normal approximation of the outcomes: it dates a change
    and is no part of the evidence.

    Args:
        n, score, y: (T, C) rows, mean scores and positive outcomes.
        groups: the groups of the cells.
        starts: (T,) logarithms of the prior probabilities.
        none: logarithm of the prior probability of no change.
    """
    member = groups.of[:, None] == np.arange(groups.count)
    a, b = (
        np.cumsum((x @ member)[::-1], axis=0)[::-1]
        for x in (y - n * score, n * score * (1 - score))
    )
    when = starts + shape_bets.log_ratio(a, b, groups)
    return np.asarray(np.exp(when - np.logaddexp(np.logaddexp.reduce(when), none)))


def _bets(n: Array, score: Array, y: Array, groups: ScoreGroups) -> tuple[Array, Array]:
    """Return (H,) weights of the bets, and (T, H) logarithms of what each multiplies."""
    line = np.log(np.maximum(score, 1e-300)) - np.log1p(-np.minimum(score, 1 - 1e-16))
    line = np.clip(line, -_FARTHEST, _FARTHEST)
    none = np.arange(len(n)) < groups.start
    cuts = np.searchsorted(groups.of, np.arange(groups.count))
    filled = np.flatnonzero(np.diff(np.append(cuts, len(groups.of))))
    weights, gains = [], []
    for size, share in zip(_SIZES, _SIZE_WEIGHTS, strict=True):
        for way in (-size, size):
            each = _gains(way, n, score, y)
            places = np.add.reduceat(each, cuts[filled], axis=1)
            places[none] = 0.0
            slope = _gains((np.exp(way) - 1) * line, n, score, y).sum(1)
            gains += [each.sum(1), slope, *places.T]
            weights += [share / 2 * _LEVEL, share / 2 * _SLOPE]
            weights += [share / 2 * _PLACE / len(filled)] * len(filled)
    for memory in _MEMORIES:
        shift = _learned(n, score, y, groups, memory)
        shift[none] = 0.0
        gains.append(_gains(shift[:, groups.of], n, score, y).sum(1))
        weights.append(_LEARNED / len(_MEMORIES))
    return np.array(weights), np.stack(gains, axis=1)


def _gains(shift: Array | float, n: Array, score: Array, y: Array) -> Array:
    """Return log of the product of 1 + b (y - m) in each cell, for a shift of the log-odds by which
    the likelihood of each outcome changes by that factor."""
    return np.asarray(shift * y - n * np.log1p(score * np.expm1(shift)))


def _learned(n: Array, score: Array, y: Array, groups: ScoreGroups, memory: float) -> Array:
    """Return (T, G) shifts of the log-odds in each group, learned from the periods before each."""
    keep = 0.5 ** (1 / memory)
    member = groups.of[:, None] == np.arange(groups.count)
    sums = np.stack([x @ member for x in (n, n * score, y)])
    shifts = np.zeros((len(n), groups.count))
    known = np.zeros_like(sums[:, 0])
    for t in range(1, len(n)):
        known = keep * known + sums[:, t - 1]
        rows, mean = known[0], known[1] / np.maximum(known[0], 1e-300)
        some = (mean > 0) & (mean < 1) & (rows > 0)
        m, extra = mean[some], _CAUTION / (mean[some] * (1 - mean[some]))
        rate = (known[2][some] + extra * m) / (rows[some] + extra)
        shifts[t, some] = logit(np.clip(rate, 1e-9, 1 - 1e-9)) - logit(m)
    return shifts
