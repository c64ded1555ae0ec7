"""Exact rules for single bins: how far off each is at least and at most, and their outcomes.

The noise of a bin of few rows, or of rare outcomes, is not normal. Its number of positive outcomes
is binomial, though, and that is exact.
"""

from __future__ import annotations

import numpy as np

from calibtool.intervals import beta
from calibtool.intervals.quantile import of_sorted
from calibtool.types import Array

# Smallest variance of the number of outcomes of a bin, n q (1 - q), at which its own interval may
# raise the high end of the largest gap. The interval of a bin of a few rows reaches far beyond all
# others and would always be the largest (measured: shared/INTERVALS.md, section 4).
KNOWN = 5
# Bins whose `outcomes` are to be asked for at a time: 4 MB of float32 for 1,000 replicates.
AT_ONCE = 1 << 10


def nearest(delta: Array, score: Array, count: Array, level: float) -> tuple[Array, float]:
    """Return the least |gap| of each bin that its outcomes allow, (...), and the p-value of none.

    The near end of the interval of the outcome rate of Clopper & Pearson (1934), whose error rate
    is divided by the number of bins with rows (Bonferroni): all bins are at least that far off,
    except in 1 - level of data sets. The one-sided p-value of no gap in any bin is below
    (1 - level)/2 exactly where one of these is above 0.

    Args:
        delta: (...) mean outcome - mean score of each bin.
        score: (...) mean score, in [0, 1].
        count: (...) effective number of rows; 0 in a bin without rows.
        level: of the interval.

    Of ten rows of score 0.5 that are all positive, the rate is at least 0.69 at 95 %, and the
    p-value 0.5**10:

    >>> one = np.array([0.5]), np.array([0.5]), np.array([10.0])
    >>> gap, p_value = nearest(*one, 0.95)
    >>> gap.round(2).tolist(), round(p_value, 5)
    ([0.19], 0.00098)
    """
    used = count > 0
    delta, at, count = delta[used], score[used], count[used]
    bins = max(len(count), 1)
    low, high = _ends(delta, at, count, (1 - level) / 2 / bins, more=1.0, less=0.0)
    out = np.zeros(score.shape)
    out[used] = np.maximum(np.maximum(low - at, at - high), 0)
    hits, misses = _outcomes(delta, at, count)
    # at least as many hits, and as many misses, under perfect calibration
    rarer = np.minimum(_chance(hits, misses, at), _chance(misses, hits, 1 - at))
    return out, min(1.0, bins * float(rarer.min(initial=1.0)))


def farthest(delta: Array, score: Array, count: Array, level: float) -> Array:
    """Return the largest |gap| of each bin that its outcomes allow, (...); 0 where it is not known.

    The far end of Jeffreys' interval of the outcome rate (Brown, Cai & DasGupta 2001, eq. 3.6).
    For the largest gap of all bins, only the interval of the bin that is truly the worst has to
    reach it, so that nothing is divided by the number of bins.

    The arguments are those of `nearest`.

    >>> one = np.array([0.0]), np.array([0.5]), np.array([100.0])
    >>> farthest(*one, 0.95).round(2)
    array([0.1])
    """
    # half a row of each outcome keeps q off 0 and 1
    q = (count * (score + delta) + 0.5) / (count + 1)
    known = count * q * (1 - q) >= KNOWN
    delta, at, count = delta[known], score[known], count[known]
    low, high = _ends(delta, at, count, (1 - level) / 2, more=0.5, less=0.5)
    out = np.zeros(score.shape)
    out[known] = np.maximum(high - at, at - low)
    return out


def _outcomes(delta: Array, score: Array, count: Array) -> tuple[Array, Array]:
    """Return the numbers of positive and of negative outcomes."""
    hits = np.clip(count * (score + delta), 0, count)
    # less than half a row is none: the rounding of sums, or a row of little weight
    hits, misses = (np.where(x < 0.5, 0, x) for x in (hits, count - hits))
    return hits, misses


def _ends(
    delta: Array, score: Array, count: Array, tail: float, *, more: float, less: float
) -> tuple[Array, Array]:
    """Return the ends of outcome rates: quantiles of beta distributions, at `tail` with `less`
    added to the positive outcomes and `more` to the negative, and the other way round."""

    def end(positive: Array, negative: Array) -> Array:
        some = positive + less > 0
        at = beta.lower(np.where(some, positive + less, 1), negative + more, tail)
        return np.where(some, at, 0)

    hits, misses = _outcomes(delta, score, count)
    return end(hits, misses), 1 - end(misses, hits)


def _chance(hits: Array, misses: Array, rate: Array) -> Array:
    """Return the binomial chance of at least as many hits."""
    chance = beta.below(np.where(hits > 0, hits, 1), misses + 1, rate)
    return np.where(hits > 0, chance, 1)


def outcomes(noise: Array, score: Array, count: Array, ties: Array) -> Array:
    """Return binomial outcome rates minus scores, as large in a replicate as its noise is.

    A bin's largest noise goes with its largest number of outcomes, and so on by rank, so that bins
    depend on one another as their noise does.

    Args:
        noise: (R, B) noise of any scale.
        score: (B,) chance of a positive outcome.
        count: (B,) effective number of rows; what falls short of a whole number scales the result.
        ties: (B, R) normal deviates that part equal noise.

    Two rows of score 0.5: both positive in a quarter of the replicates, and none in a quarter.

    >>> noise, ties = np.array([[0.3], [2.0], [-1.0], [0.5]]), np.zeros((1, 4), np.float32)
    >>> outcomes(noise, np.array([0.5]), np.array([2.0]), ties).ravel().tolist()
    [0.0, 0.5, -0.5, 0.0]
    """
    columns = np.ascontiguousarray(noise.T)
    # noise of few rows has ties; a thousandth of its standard deviation parts them at random
    columns = columns + np.float32(1e-3) * ties
    trials = np.maximum(np.rint(count), 1)
    rate = _sorted_hits(trials, score, len(noise)) / trials[:, None] - score[:, None]
    rate *= np.sqrt(trials / np.maximum(count, 1e-9))[:, None].clip(max=1)
    np.put_along_axis(columns, columns.argsort(axis=1), rate.astype(noise.dtype), axis=1)
    return columns.T


def _sorted_hits(trials: Array, rate: Array, levels: int) -> Array:
    """Return the quantiles of binomial distributions at evenly spaced levels, (B, levels)."""
    # the rarer outcome is counted, so that the probability of none is no rounding error
    rare = np.minimum(rate, 1 - rate)
    mean, spread = trials * rare, np.sqrt(trials * rare * (1 - rare))
    most = int((mean + 10 * spread + 10).max(initial=1))  # 1e-9 of a Poisson lies beyond
    j = np.arange(most)
    steps = np.maximum(trials[:, None] - j, 0) / (j + 1) * (rare / (1 - rare))[:, None]
    first = np.exp(trials * np.log1p(-rare))[:, None]
    chance = first * np.cumprod(np.concatenate([np.ones_like(first), steps], axis=1), axis=1)
    # how many levels have at most j hits; all of them at most the last
    ends = np.rint(np.minimum(chance.cumsum(axis=1), 1) * levels).astype(np.int64)
    ends[:, -1] = levels
    numbers = np.broadcast_to(np.arange(most + 1, dtype=np.float32), ends.shape)
    hits = np.repeat(numbers.ravel(), np.diff(ends, prepend=0).ravel()).reshape(-1, levels)
    often = rate > 0.5
    hits[often] = trials[often, None] - hits[often, ::-1]
    return hits


def shrunk(z: Array, noise: Array, steady: Array, tail: float) -> tuple[Array, float]:
    """Return what is left of each steady gap after the largest noise of any, and a p-value.

    The worst bin of all is often one of a few rows, whose gap says nothing, while bins of thousands
    are known to be off. The steady bins alone show that.

    Args:
        z: standardised gaps.
        noise: (R, ...) standardised noise.
        steady: the coordinates with enough rows for normal noise.
        tail: the share of replicates whose largest noise may exceed the band.

    Returns standardised gaps, 0 where not steady, and the p-value of the largest steady gap.
    """
    peaks = np.abs(noise[:, steady]).max(axis=1)
    band = of_sorted(np.sort(peaks), 1 - tail)
    largest = float(np.abs(z[steady]).max())
    p_value = (1 + int(np.count_nonzero(peaks >= largest))) / (1 + len(peaks))
    left = np.where(steady, np.sign(z) * np.maximum(np.abs(z) - band, 0), 0)
    return left, p_value
