"""A mixture over when a change came, and what it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.types import Array

WHILE = 64  # periods in which a change may be one of a list
_OCTAVE = 64  # changes are looked for at every period at first, then at 64 an octave


@dataclass(frozen=True, eq=False)
class Evidence:
    """An e-process.

    Attributes:
        log_e: (T,) natural logarithm of the e-value after each period.
        when: (T,) posterior probability, after the last period, that the change came with a period;
            what it lacks to 1 is that there was none.
    """

    log_e: Array
    when: Array


class Mixture:
    """A mixture over when the change came, and what it was: one of a list of changes for some
    periods, or something that is learned as it goes on."""

    def __init__(self, none: Array, prior: Array, after: list[Array], first: float = 0.0) -> None:
        with np.errstate(divide="ignore"):
            self.prior = np.log(np.append(prior, 1.0) / 2)
        self.after = np.array(after)
        self.candidates, self.weights, left = _candidates(len(none), first)
        self.total = none + np.log(left)
        self.parts = np.full(len(none), -np.inf)

    def add(self, tau: int, gains: Array, before: float, now: float) -> None:
        """A change with period tau.

        Args:
            gains: (<= WHILE, H) log-likelihoods of the periods from it on, for each change.
            before: log-likelihood of the periods before it.
            now: of its first period, by what was known before.
        """
        learned = np.append(now, self._learned(tau))
        some = len(gains)
        heap = np.cumsum(np.concatenate([gains, learned[:some, None]], axis=1), axis=0)
        found = np.empty(len(learned))
        found[:some] = log_sum(heap + self.prior, axis=1)
        found[some:] = found[some - 1] + np.cumsum(learned[some:])
        weight = self.weights[self.candidates.index(tau)]
        found += before + (np.log(weight) if weight else -np.inf)
        self.total[tau:] = np.logaddexp(self.total[tau:], found)
        self.parts[tau] = found[-1]

    def _learned(self, tau: int) -> Array:
        """Log-likelihoods of the periods after tau, by the longest window that reaches back to tau
        at most."""
        t = np.arange(tau + 1, len(self.total))
        window = np.frexp(t - tau)[1] - 1
        return self.after[window, t] if len(t) else np.zeros(0)

    def evidence(self, null: Array) -> Evidence:
        return Evidence(self.total - null, np.exp(self.parts - self.total[-1]))


def _candidates(periods: int, first: float) -> tuple[list[int], list[float], Array]:
    """When a change may have come, the prior weight of each, and (T,) what is left after each
    period for changes that are still to come. With the first period: `first`. The octave of
    periods 2^k to 2^(k + 1) has 4 / ((k + 4) (k + 5)) of the rest, at 64 periods at most."""
    found, weights = [0], [first]
    for k in range(max(periods - 1, 0).bit_length()):
        own = range(2**k, 2 ** (k + 1), max(1, 2**k // _OCTAVE))
        found += own
        weights += [(1 - first) * 4 / ((k + 4) * (k + 5)) / len(own)] * len(own)
    places = np.searchsorted(found, np.arange(periods), side="right")
    left = 1 - np.cumsum(weights)[places - 1]
    count = int(np.searchsorted(found, periods))
    return found[:count], weights[:count], np.asarray(left)


def log_sum(x: Array, axis: int | None = None) -> Array:
    """log(sum(exp(x))), without overflow.

    >>> round(float(np.exp(log_sum(np.log([1.0, 3.0])))), 9)
    4.0
    """
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        found = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return np.asarray(found.sum() if axis is None else np.squeeze(found, axis))
