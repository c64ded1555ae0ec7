"""What is known of single bins: how far off each is at least, and the worst at most.

Noise of the worst bin of many is not normal: it is often a bin of a few rows. Its number of
positive outcomes is binomial, though, and that is exact.
"""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

# Smallest variance of the number of outcomes of a bin, n q (1 - q), at which its own interval may
# raise the high end of the largest gap. The interval of a bin of a few rows reaches far beyond all
# others and would always be the largest (measured: shared/INTERVALS.md, section 4).
KNOWN = 5


def nearest(delta: Array, score: Array, count: Array, level: float) -> Array:
    """Return the least |gap| of each bin that its outcomes allow, (...), at once for all bins.

    The near end of the interval of the outcome rate of Clopper & Pearson (1934), whose error rate
    is divided by the number of bins with rows (Bonferroni): all bins are at least that far off,
    except in 1 - level of data sets.

    Args:
        delta: (...) mean outcome - mean score of each bin.
        score: (...) mean score, in [0, 1].
        count: (...) effective number of rows; 0 in a bin without rows.
        level: of the interval.

    Of ten rows of score 0.5 that are all positive, the rate is at least 0.69 at 95 %:

    >>> one = np.array([0.5]), np.array([0.5]), np.array([10.0])
    >>> nearest(*one, 0.95).round(2)
    array([0.19])
    """
    used = count > 0
    tail = (1 - level) / 2 / max(int(used.sum()), 1)
    low, high = _beta_ends(delta, score, count, tail, more=1.0, less=0.0)
    return np.where(used, np.maximum(np.maximum(low - score, score - high), 0), 0)


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
    low, high = _beta_ends(delta, score, count, (1 - level) / 2, more=0.5, less=0.5)
    # half a row of each outcome keeps q off 0 and 1
    q = (count * (score + delta) + 0.5) / (count + 1)
    known = count * q * (1 - q) >= KNOWN
    return np.where(known, np.maximum(high - score, score - low), 0)


def _beta_ends(
    delta: Array, score: Array, count: Array, tail: float, *, more: float, less: float
) -> tuple[Array, Array]:
    """Return quantiles of beta distributions: at `tail`, with `less` added to the positive outcomes
    and `more` to the negative, and at 1 - `tail` the other way round."""
    from scipy.special import betainccinv, betaincinv

    hits = np.clip(count * (score + delta), 0, count)
    misses = count - hits
    # rounding of sums: an outcome that never occurred has a count of 0, and so an end of 0 or 1
    hits, misses = (np.where(x < 1e-9, 0, x) for x in (hits, misses))
    low = np.where(
        hits + less > 0, betaincinv(np.maximum(hits + less, 1e-9), misses + more, tail), 0
    )
    high = np.where(
        misses + less > 0, betainccinv(hits + more, np.maximum(misses + less, 1e-9), tail), 1
    )
    return low, high


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
    band = float(np.quantile(peaks, 1 - tail))
    largest = float(np.abs(z[steady]).max())
    p_value = (1 + int(np.count_nonzero(peaks >= largest))) / (1 + len(peaks))
    left = np.where(steady, np.sign(z) * np.maximum(np.abs(z) - band, 0), 0)
    return left, p_value
