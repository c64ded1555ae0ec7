"""A mixture over the time of a change and its kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.types import Array

# Periods for which the listed changes are followed; later ones rely on what has been learned since
# the change. It bounds the time: listed changes x candidates x WHILE likelihoods.
WHILE = 64
# Most candidate periods per octave [2^k, 2^(k + 1)): every period at first, then 64 per octave, so
# that the candidates grow with the logarithm of the periods.
_OCTAVE = 64


@dataclass(frozen=True, eq=False)
class Evidence:
    """An e-process.

    Attributes:
        log_e: (T,) natural logarithm of the e-value after each period.
        when: (T,) posterior probability, after the last period, that the change came with each
            period. The rest to 1 is the probability that there was no change.
    """

    log_e: Array
    when: Array


class Mixture:
    """A mixture of likelihoods over the time of a change and its kind.

    The kind is one of a list of changes, followed for WHILE periods, or a curve that is learned
    from the periods since the change.

    Args:
        none: (T,) log-likelihoods of all periods up to each without a change.
        prior: (H,) prior weights of the listed changes.
        after: for windows of 1, 2, 4, ... periods, (T,) log-likelihoods of each period by the curve
            learned in the window before it.
        first: prior probability of a change with the first period.
    """

    def __init__(self, none: Array, prior: Array, after: list[Array], first: float = 0.0) -> None:
        # half of the weight for the listed changes, half for the learned curve
        with np.errstate(divide="ignore"):
            self.prior = np.log(np.append(prior, 1.0) / 2)
        self.after = np.array(after)
        self.candidates, self.weights, left = _candidates(len(none), first)
        self.total = none + np.log(left)
        self.parts = np.full(len(none), -np.inf)

    def add(self, tau: int, gains: Array, before: float, now: float) -> None:
        """Add a change with period `tau` to the mixture.

        Args:
            tau: number of the period, one of `candidates`.
            gains: (<= WHILE, H) log-likelihoods of the periods from `tau` on, for each listed
                change.
            before: log-likelihood of the periods before `tau`.
            now: log-likelihood of period `tau` by the curve that was known before it.
        """
        learned = np.append(now, self._learned(tau))
        listed = len(gains)
        cumulative = np.cumsum(np.concatenate([gains, learned[:listed, None]], axis=1), axis=0)
        log_p = np.empty(len(learned))
        log_p[:listed] = log_sum(cumulative + self.prior, axis=1)
        # later periods have one likelihood, that of the learned curve
        log_p[listed:] = log_p[listed - 1] + np.cumsum(learned[listed:])
        weight = self.weights[self.candidates.index(tau)]
        log_p += before + (np.log(weight) if weight else -np.inf)
        self.total[tau:] = np.logaddexp(self.total[tau:], log_p)
        self.parts[tau] = log_p[-1]

    def _learned(self, tau: int) -> Array:
        """Return the log-likelihoods of the periods after `tau` by a curve learned since `tau`.

        Of the windows of 1, 2, 4, ... periods, each period uses the longest that does not reach
        back beyond `tau`.
        """
        t = np.arange(tau + 1, len(self.total))
        window = np.frexp(t - tau)[1] - 1  # floor(log2(t - tau))
        return self.after[window, t] if len(t) else np.zeros(0)

    def evidence(self, null: Array) -> Evidence:
        """Return the e-process against (T,) log-likelihoods of the null hypothesis."""
        return Evidence(self.total - null, np.exp(self.parts - self.total[-1]))


def _candidates(periods: int, first: float) -> tuple[list[int], list[float], Array]:
    """Return the periods a change may come with, and their prior weights.

    The first period has the weight `first`. The octave of periods [2^k, 2^(k + 1)) has the share
    4 / ((k + 4) (k + 5)) of the rest, spread over at most 64 periods. These shares sum to 1 over
    all k, and fall so slowly that a late change costs little: the weights do not depend on how many
    periods there will be.

    Returns the candidates, their weights, and (T,) the weight left after each period for changes
    that are still to come.
    """
    candidates, weights = [0], [first]
    for k in range(max(periods - 1, 0).bit_length()):
        octave = range(2**k, 2 ** (k + 1), max(1, 2**k // _OCTAVE))
        candidates += octave
        weights += [(1 - first) * 4 / ((k + 4) * (k + 5)) / len(octave)] * len(octave)
    places = np.searchsorted(candidates, np.arange(periods), side="right")
    left = 1 - np.cumsum(weights)[places - 1]
    count = int(np.searchsorted(candidates, periods))
    return candidates[:count], weights[:count], np.asarray(left)


def log_sum(x: Array, axis: int | None = None) -> Array:
    """Return log(sum(exp(x))) along an axis (None: of all), without overflow.

    >>> round(float(np.exp(log_sum(np.log([1.0, 3.0])))), 9)
    4.0
    """
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return np.asarray(total.sum() if axis is None else np.squeeze(total, axis))
