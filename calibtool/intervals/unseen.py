"""One unseen row: intervals that know that the next row may be unlike all that were seen.

Resampled rows show what did vary. Where almost nothing did (300 rows, no positive outcome), every
replicate agrees with every other, and a bootstrap interval is certain of what 300 rows cannot
know. So each replicate gets one more row, which was not seen, and the worst of what it can be is
taken:

- replicate r weighs the rows at random, as ever, and the unseen row by an Exp(1) variable;
- the unseen row has the score of a row that was seen, and either outcome. Which row's score is
  drawn in three ways: all rows alike, by score (for an outcome of 1 with chance ~ s, for 0 with
  chance ~ 1 - s), or as the best of three drawn by score (the highest for 1, the lowest for 0);
- of each of these six kinds the metric is computed in every replicate. The interval runs from the
  smallest lower quantile of a kind to the largest upper one.

With Dirichlet weights (Rubin 1981) a share of k among n rows has Clopper & Pearson's (1934)
interval in this way, the quantiles of Beta(k, n - k + 1) and Beta(k + 1, n - k); weighted counts
have Fay & Feuer's (1997) gamma interval; and with the unseen row at the worst loss a bounded mean
has Gaffke's (2005) bound. Unlike those it needs no bound, and any function of weighted rows has
it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calibtool.intervals import beta
from calibtool.intervals.draws import Draws
from calibtool.intervals.quantile import of_sorted
from calibtool.intervals.streams import Stream, generator
from calibtool.types import Array

# Fewer defined replicates of a kind cannot place its quantiles: as for all intervals
# (`evaluation.resampling.FEW_RESAMPLES`).
FEW = 20
OUTCOMES = (1, 0)
# Rows beyond which Student's 97.5 % quantile is the normal one to 3e-6.
MANY = 1e6


class Ends(NamedTuple):
    """An interval, and the standard error: the largest standard deviation of a kind."""

    low: float
    high: float
    error: float


@dataclass(frozen=True, eq=False)
class Kind:
    """One of the things that the unseen row may be, in every replicate.

    Attributes:
        outcome: its outcome, 1 or 0.
        at: (R,) the index of the seen score that it has.
    """

    outcome: int
    at: Array


def weights(draws: Draws) -> Array:
    """Return the Exp(1) weight of the unseen row in every replicate, (R,).

    They are the quantiles at evenly spaced probabilities in random order, so that the ends carry
    little noise of the draws.

    >>> round(float(weights(Draws(1000, 0, 10)).mean()), 2)
    1.0
    """
    even = -np.log1p(-(np.arange(draws.replicates) + 0.5) / draws.replicates)
    return generator(Stream.UNSEEN, draws.seed, 0).permutation(even)


def cluster_mass(draws: Draws, weights: Array | None) -> Array | None:
    """Return the weight of a cluster, drawn alike in every replicate, (R,); None for independent
    rows.

    The unseen row stands for a whole unseen cluster, whose rows are all like it.
    """
    if draws.cluster is None:
        return None
    masses = np.bincount(draws.cluster, weights).astype(np.float64)
    rng = generator(Stream.UNSEEN, draws.seed, 6)
    return np.asarray(masses[rng.integers(0, len(masses), draws.replicates)])


def wrong_labels(probs: Array, right: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return labels of rows that are not right, (M,) each: drawn from all other classes alike, and
    by the rows' own probabilities.

    Args:
        probs: (M, K) probabilities.
        right: (M,) the class that each row predicts.
        rng: the generator to draw from.
    """
    rows, classes = probs.shape
    alike = (right + 1 + rng.integers(0, classes - 1, rows)) % classes
    chance = probs.astype(np.float64)
    chance[np.arange(rows), right] = 0
    cumulated = np.cumsum(chance, axis=1)
    total = cumulated[:, -1]
    at = (cumulated < (rng.random(rows) * total)[:, None]).sum(axis=1)
    # a row that is certain of its label has no other probability
    return alike, np.where(total > 0, np.minimum(at, classes - 1), alike)


def kinds(score: Array, count: Array, draws: Draws) -> list[Kind]:
    """Return the six kinds, those of one way of drawing beside each other.

    Args:
        score: (M,) scores in [0, 1] that were seen.
        count: (M,) how many rows have each.
        draws: the replicates.

    >>> drawn = kinds(np.array([0.1, 0.9]), np.array([5.0, 5.0]), Draws(1000, 0, 10))
    >>> [(kind.outcome, round(float(kind.at.mean()), 1)) for kind in drawn[2:4]]
    [(1, 0.9), (0, 0.1)]
    """
    alike = _drawn(count, draws, 1, 1)[:, 0]
    found = [Kind(outcome, alike) for outcome in OUTCOMES]
    three = [_drawn(count * (score if o else 1 - score), draws, 2 + o, 3) for o in OUTCOMES]
    found += [Kind(o, at[:, 0]) for o, at in zip(OUTCOMES, three, strict=True)]
    for outcome, at in zip(OUTCOMES, three, strict=True):
        sign = 1 if outcome else -1
        best = np.argmax(sign * score[at], axis=1)
        found.append(Kind(outcome, np.take_along_axis(at, best[:, None], 1)[:, 0]))
    return found


def _drawn(chance: Array, draws: Draws, piece: int, times: int) -> Array:
    """Return indices drawn with these chances (up to their sum; alike if all are 0), (R, times)."""
    cumulated = np.cumsum(chance if chance.any() else np.ones(len(chance)))
    uniform = generator(Stream.UNSEEN, draws.seed, piece).random((draws.replicates, times))
    at = np.searchsorted(cumulated, uniform * cumulated[-1], side="right")
    return np.minimum(at, len(chance) - 1)


def swapped(draws: Draws, rows: Array) -> Array:
    """Return what Exp(1) weights of some rows have above the weights drawn for them, (R, rows).

    Of a handful of rows, drawn weights are now and then all 0: a replicate knows nothing of what
    they showed. Exp(1) weights keep every row, as Rubin's (1981) Dirichlet weights do; for many
    rows both give the same.

    Args:
        draws: the replicates; rows must not be drawn as units.
        rows: positions of the rows, increasing.
    """
    exponential = generator(Stream.UNSEEN, draws.seed, 7).standard_exponential(
        (draws.replicates, len(rows))
    )
    return exponential - draws.weights_of(rows)


def mean_with(replicates: Array, total: Array | float, value: Array, weight: Array) -> Array:
    """Return means, (R,), to which the unseen row is added.

    Args:
        replicates: (R,) the mean in each replicate.
        total: the weight of each replicate.
        value, weight: (R,) of the unseen row.

    >>> mean_with(np.zeros(2), 9.0, np.ones(2), np.array([0.0, 1.0]))
    array([0. , 0.1])
    """
    return np.asarray(replicates + weight / (total + weight) * (value - replicates))


def ends(
    replicates: Sequence[Array],
    level: float,
    least: float = -np.inf,
    most: float = np.inf,
    rows: float = math.inf,
) -> Ends | None:
    """Return the interval over all kinds; None where the metric is defined in hardly a replicate.

    Args:
        replicates: the metric in every replicate, (R,), for each kind; NaN where it is not defined.
        level: of the interval.
        least, most: the metric's range.
        rows: the number of equally weighted rows that would be as informative. Replicates of n rows
            vary by (n - 1)/n too little, and by normal rather than Student's quantiles: both are
            made up for (the expanded percentile interval of Hesterberg 2015, sec. 4.5).

    >>> low, high, _ = ends([np.arange(101.0), np.arange(101.0) + 10], 0.5)
    >>> low, high
    (25.0, 85.0)
    """
    tail = _expanded((1 - level) / 2, rows)
    tails = [tail, 1 - tail]
    known = [kind[~np.isnan(kind)] for kind in replicates]
    known = [kind for kind in known if len(kind) >= FEW]
    if not known:
        return None
    lows, highs = np.transpose([_quantiles(kind, tails) for kind in known])
    error = max(float(kind[np.isfinite(kind)].std()) for kind in known if np.isfinite(kind).any())
    return Ends(max(float(lows.min()), least), min(float(highs.max()), most), error)


def _expanded(tail: float, rows: float) -> float:
    """Return the share of replicates beyond each end that leaves `tail` of estimates beyond it.

    >>> round(_expanded(0.025, 20), 4), _expanded(0.025, 1e9)
    (0.0159, 0.025)
    """
    if not rows < MANY:
        return tail
    from calibtool.intervals import special

    freedom = max(rows - 1, 1.0)
    student = special.stdtrit(freedom, tail)
    return float(special.ndtr(math.sqrt((freedom + 1) / freedom) * student))


def _quantiles(replicates: Array, tails: list[float]) -> list[float]:
    """Return two quantiles; infinite replicates have a place in the order, but none between."""
    if np.isfinite(replicates).all():
        ordered = np.sort(replicates)
        return [of_sorted(ordered, tail) for tail in tails]
    low, high = tails
    return [
        float(np.quantile(replicates, low, method="lower")),
        float(np.quantile(replicates, high, method="higher")),
    ]


def of_share(rate: float, rows: float, level: float) -> Ends:
    """Return the interval of a share of rows of equal weight, in closed form (Clopper & Pearson
    1934).

    The standard error is that of Beta(k + 1, n - k + 1), the posterior of a uniform prior: not 0
    for a share of 0 or 1.

    >>> low, high, _ = of_share(1.0, 60.0, 0.95)
    >>> round(low, 4), high  # 0.025 ** (1 / 60)
    (0.9404, 1.0)
    """
    hits, tail = rate * rows, (1 - level) / 2
    misses = rows - hits
    # 1e-9: the product of a rate and its rows is 0, or `rows`, up to rounding only
    low = beta.quantile(tail, hits, misses + 1) if hits > 1e-9 else 0.0
    high = beta.quantile(1 - tail, hits + 1, misses) if misses > 1e-9 else 1.0
    error = ((hits + 1) * (misses + 1) / ((rows + 2) ** 2 * (rows + 3))) ** 0.5
    return Ends(low, high, float(error))
