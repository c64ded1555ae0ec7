"""The observed profile of an inverted bootstrap, and how far each gap is from what noise makes."""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

# Smallest variance of a coordinate's number of outcomes, n c (1 - c), at which its noise counts as
# normal: its skewness is then at most 1 / sqrt(30) = 0.18. With less, small bins raise the low end
# by chance.
STEADY = 30


class Observed:
    """The observed profile, with gaps in standard deviations of the mean outcomes.

    With few events the deviation of what was seen says little of what could have been: no event
    where 3 were expected would be dozens of its deviations away. There `z` is the signed root of
    the likelihood ratio, which has a normal distribution for smaller counts, too: 2.4.

    Attributes:
        used: coordinates that hold rows.
        steady: those whose number of outcomes counts as normal; `few`: those used that are not.
        safe: their mass, and 1 elsewhere, to divide by.
        delta: mean outcome - mean score of each coordinate; 0 without rows.
        unit: standard deviation of each mean outcome.
        z: `delta` in standard deviations.
        step: the gap that one of them is: `delta` = `step` * `z`.
    """

    def __init__(self, gap: Array, mass: Array, score: Array, count: Array) -> None:
        self.mass, self.score, self.count = mass, score, count
        self._rows = np.where(count > 0, count, 1)
        self.used = mass > 0
        self.steady = count * score * (1 - score) >= STEADY
        self.few = self.used & ~self.steady
        self.safe = np.where(self.used, mass, 1)
        self.delta = gap / self.safe
        self.unit = np.maximum(self.spread(self.delta), 1e-12)
        self.z, self.step = self.delta / self.unit, self.unit
        root = signed_root(self.delta, score, count)
        rooted = self.few & (np.abs(root) > 1e-6)  # below, rounding is as large as the root
        self.z = np.where(rooted, root, self.z)
        self.step = np.where(rooted, self.delta / np.where(rooted, root, 1), self.step)

    def spread(self, delta: Array) -> Array:
        """Return the standard deviation of each mean outcome if the true gaps are `delta`."""
        return self.spread_of(self.rate(delta))

    def spread_of(self, q: Array) -> Array:
        """Return the standard deviation of each mean outcome if the means are `q`, of `rate`."""
        return np.asarray(np.sqrt(q * (1 - q) / self._rows) * self.used)

    def rate(self, delta: Array) -> Array:
        """Return the mean outcomes if the true gaps are `delta`.

        One imagined row whose outcome is its score keeps them, and so their deviation, off 0 where
        all outcomes of a coordinate are equal.
        """
        q = self.score + delta * self.count / (self.count + 1)
        return np.minimum(np.maximum(q, 0), 1)  # `np.clip` takes twice as long of few values


def signed_root(delta: Array, score: Array, count: Array) -> Array:
    """Return the root of twice the log-likelihood ratio of seen and expected rates of outcomes,
    with the sign of the gap.

    Args:
        delta: (...) the seen rate minus the expected one.
        score: (...) the expected rate, in [0, 1].
        count: (...) the number of rows.

    >>> signed_root(np.array([-0.003, 0.003]), np.array([0.003, 0.003]), np.array([1000, 1000]))
    array([-2.45132985,  1.52538596])
    """
    # a score of 0 or 1 that an outcome refutes would be infinitely far
    p = np.clip(score, 1e-12, 1 - 1e-12)
    q = np.clip(score + delta, 0, 1)
    ratio = 2 * count * (_entropy(q, p) + _entropy(1 - q, 1 - p))
    return np.asarray(np.sign(delta) * np.sqrt(np.maximum(ratio, 0)))


def _entropy(q: Array, p: Array) -> Array:
    """Return q log(q / p), 0 where q is."""
    return q * np.log(np.where(q > 0, q, p) / p)
