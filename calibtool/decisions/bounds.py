"""Tests of "the mean loss of these rows is above the limit", at many numbers of rows at once.

A small p-value refutes that, so that the rows may be accepted. Losses of 0 and 1 are counted, and
the p-value is exact. Losses between, and rows with weights, are bet on: a player who stakes a fixed
part of his capital on every row being cheaper than the limit gains nothing on average if the mean
loss is at or above it, so that his capital exceeds 1 / p with probability p at most (Markov). Ten
players with different stakes share the capital (Waudby-Smith & Ramdas 2024, sec. 4). The order of
the rows plays no part. benchmarks/guarantees.py compares it with Hoeffding and Bentkus's bounds
(Bates et al. 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from calibtool.types import Array

# Stakes, as parts of the largest: 20 are no better (benchmarks/guarantees.py), and each costs.
STAKES = np.arange(1, 11) / 10
# The largest stake loses all on one row with the largest loss: that is a logarithm of 0, and this
# much less is none.
_SHORT = 1 - 1e-9


class Evidence(Protocol):
    """The losses of rows in some order, and what the first ones prove."""

    def p_values(self, sizes: Array) -> Array:
        """Return the p-values of the first `sizes` rows, (M,), against a mean loss above the
        limit."""


@dataclass(frozen=True, eq=False)
class Counted:
    """Losses of 0 and 1: the exact binomial test.

    Attributes:
        losses: (n + 1,) how many of the first 0, 1, ..., n rows are losses.
        risk: the limit.
    """

    losses: Array
    risk: float

    def p_values(self, sizes: Array) -> Array:
        return below(self.losses[sizes], sizes, self.risk)


@dataclass(frozen=True, eq=False)
class Staked:
    """Losses in [0, 1], with weights: ten players' capital.

    Attributes:
        gains: (10, n + 1) logarithm of each player's capital after 0, 1, ..., n rows.
    """

    gains: Array

    @classmethod
    def of(cls, losses: Array, weights: Array, risk: float) -> Staked:
        """Return the bets on rows: (n,) losses, (n,) weights up to 1."""
        return cls(np.concatenate([np.zeros((len(STAKES), 1)), _gains(losses, weights, risk)], 1))

    def p_values(self, sizes: Array) -> Array:
        return _p_values(self.gains[:, sizes])


@dataclass(frozen=True, eq=False)
class StakedMisses:
    """The same for a threshold that moves through a fixed set of rows: the first are losses, the
    rest are none.

    Attributes:
        lost, kept: (10, n + 1) logarithms of what the first 0, 1, ..., n rows make of the capital
            if they are losses, and if they are none.
    """

    lost: Array
    kept: Array

    @classmethod
    def of(cls, weights: Array, risk: float) -> StakedMisses:
        """Return the bets on rows with these weights, (n,) up to 1."""
        zeros = np.zeros((len(STAKES), 1))
        lost = np.concatenate([zeros, _gains(np.ones(len(weights)), weights, risk)], 1)
        kept = np.concatenate([zeros, _gains(np.zeros(len(weights)), weights, risk)], 1)
        return cls(lost, kept)

    def p_values(self, sizes: Array) -> Array:
        return _p_values(self.lost[:, sizes] + self.kept[:, -1:] - self.kept[:, sizes])


def evidence(losses: Array, weights: Array | None, risk: float) -> Evidence:
    """Return the evidence of rows in their order: exact if they only have to be counted.

    Args:
        losses: (n,) in [0, 1].
        weights: (n,) positive; None for 1 each. No row is assumed to weigh more than the heaviest
            of these.
        risk: the limit of the mean loss, in (0, 1).

    >>> evidence(np.zeros(59), None, 0.05).p_values(np.array([58, 59])).round(4).tolist()
    [0.051, 0.0485]
    """
    plain = weights is None or weights.min() == weights.max()
    if plain and np.isin(losses, (0, 1)).all():
        return Counted(np.concatenate([[0.0], np.cumsum(losses)]), risk)
    weights = np.ones(len(losses)) if weights is None else weights
    return Staked.of(losses, weights / weights.max(), risk)


def below(losses: Array, rows: Array, risk: float) -> Array:
    """Return the chance of so few losses, (M,), in so many rows, at this risk."""
    from calibtool.intervals.special import bdtr

    return np.asarray(bdtr(losses, rows, risk), np.float64)


def fewest(risk: float, delta: float) -> int:
    """Return how many rows without a loss prove a risk.

    >>> fewest(0.05, 0.05), fewest(0.01, 0.05)
    (59, 299)
    """
    return math.ceil(
        math.log(delta) / math.log1p(-risk) - 1e-9
    )  # -1e-9: where it is a whole number


def _gains(losses: Array, weights: Array, risk: float) -> Array:
    """Return (10, n) sums of the logarithms of 1 - stake * weight * (loss - risk)."""
    stakes = STAKES * _SHORT / (1 - risk)
    each = stakes[:, None] * (weights * (losses - risk))
    return np.asarray(np.log1p(-each).cumsum(axis=1))


def _p_values(gains: Array) -> Array:
    """Return 1 / the players' mean capital, at most 1: (M,) of (10, M) logarithms."""
    most = gains.max(axis=0)
    mean = np.exp(gains - most).mean(axis=0)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.minimum(1.0, np.exp(-most) / mean))
