"""Point: where a threshold lies for some rows, what it accepts, and what was in the way of one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from calibtool.decisions.bounds import Evidence, StakedMisses, below, evidence, fewest
from calibtool.decisions.losses import Losses
from calibtool.decisions.sequence import Sequence, order, sequence
from calibtool.decisions.target import Target
from calibtool.formatting import DEFAULT_LEVEL
from calibtool.intervals import shares
from calibtool.types import Array

# The part of the gap between two scores in which a threshold may lie: the promise is about the
# lower end, and what lies so near to it can hardly hold a row.
_NEAR = 1e-3
_DIGITS = 17  # decimals that tell all float64 numbers in [0, 1] that matter apart
_STEPS = 1000  # in which the best limit is looked for: more digits would be luck
_TRIED = 1 << 20  # rows up to which it is tried how many would do: a second


@dataclass(frozen=True)
class Share:
    """A measured value of the subject of a target, on some of the rows that chose.

    Attributes:
        rows: their number.
        share: of the weight of all rows.
        value: accuracy, precision, cost, ...; None without rows.
        low, high: its interval, at 95 % unless something else is said.
    """

    rows: int
    share: float
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Lacking:
    """Why no threshold keeps a promise, and what would.

    Attributes:
        fewest: how many rows without a loss are needed.
        rows: how many there are.
        best: the best limit that these rows could have promised; None if there is none.
        at: the threshold of that.
        needed: about how many rows would do, at the shares of losses that were seen; None where no
            number would.
    """

    fewest: int
    rows: int
    best: float | None = None
    at: float | None = None
    needed: int | None = None


@dataclass(frozen=True)
class Point:
    """The threshold of a group of rows.

    Attributes:
        group: the name of the group; "" for all rows.
        threshold: the confidence, or P(class 1), from which on rows are accepted; for an NPV, up to
            which. None if no threshold keeps the promise.
        level: the part of delta that this group's tests had.
        accepted: the rows that are accepted, and the subject on them; of a recall, on class 1.
        rest: the rows that are handed to a person.
        lacking: what is in the way of a threshold; None if there is one.
    """

    group: str
    threshold: float | None
    level: float
    accepted: Share
    rest: Share
    lacking: Lacking | None = None

    @property
    def rows(self) -> int:
        """The rows that chose it."""
        return self.accepted.rows + self.rest.rows


@dataclass(frozen=True, eq=False)
class Search:
    """The rows of a group in the order of the tests.

    Attributes:
        target: what has to be promised.
        losses: the rows that count, in that order; of a recall, from the lowest score on.
        every: all rows of the group, in any order.
        evidence: of the losses.
        tests: the sequence; for a recall, of every number of rows.
    """

    target: Target
    losses: Losses
    every: Losses
    evidence: Evidence
    tests: Sequence

    @classmethod
    def of(cls, every: Losses, target: Target, delta: float, seed: int) -> Search:
        """Return the search in the rows of a group, whose tests are laid out for `delta`."""
        counted = every.take(every.counts)
        risk = target.risk / every.unit
        recall = target.name == "recall"
        at = order(-counted.scores if recall else counted.scores, seed)
        ordered = counted.take(at)
        if recall:
            return cls(target, ordered, every, _misses(ordered, risk), _every_size(ordered))
        found = evidence(ordered.losses, ordered.weights, risk)
        return cls(target, ordered, every, found, sequence(ordered.scores, risk, delta))

    @property
    def rows(self) -> int:
        """How many rows count."""
        return len(self.losses.scores)

    @property
    def risk(self) -> float:
        """The limit of the mean loss."""
        return self.target.risk / self.every.unit

    def size(self, delta: float) -> int | None:
        """Return how many of the first rows are accepted or, for a recall, missed; None if the
        promise cannot be kept."""
        if self.target.name == "recall":  # the tests are nested, and end at the first that fails
            if not self.rows:
                return None
            fails = np.flatnonzero(self.evidence.p_values(self.tests.sizes) > delta)
            most = int(fails[0]) if len(fails) else self.rows
            return most - 1 if most else None
        return self.tests.last(self.evidence, delta) or None

    def unbroken(self, delta: float) -> bool:
        """Return whether every test passes, so that all rows are accepted and none of delta is
        spent; never of a recall, where that would be to miss all."""
        return self.target.name != "recall" and self.tests.unbroken(self.evidence, delta)

    def line(self, size: int) -> float:
        """Return the score above which a size's rows lie, or the threshold, for a recall at which
        so many are missed."""
        scores = self.losses.scores
        if self.target.name == "recall":
            lowest = scores[size]
            beneath = scores[scores < lowest]
            gap = lowest - (beneath[-1] if len(beneath) else 0.0)
            return shortest(np.nextafter(lowest - _NEAR * gap, -math.inf), lowest)
        if size == self.rows:
            return -1.0 if self.target.subject.accepts == "low" else 0.0
        gap = scores[size - 1] - scores[size]
        end = max(scores[size] + _NEAR * gap, np.nextafter(scores[size], math.inf))
        return shortest(scores[size], end)

    def point(self, group: str, delta: float) -> Point:
        """Return the threshold at a part of delta."""
        size = self.size(delta)
        nothing = np.zeros(len(self.every.scores), bool)
        if size is None:
            rest = self.share(~nothing)
            return Point(group, None, delta, self.share(nothing), rest, self.lacking(delta))
        line = self.line(size)
        taken = self.every.scores >= line
        threshold = -line if self.target.subject.accepts == "low" else line
        return Point(group, threshold, delta, self.share(taken), self.share(~taken))

    def share(self, taken: Array) -> Share:
        """Return the subject of the target on a part of the rows."""
        return share_of(self.target, self.every, taken)

    def lacking(self, delta: float) -> Lacking:
        """Return why there is no threshold, and what would help."""
        least = fewest(self.risk, delta)
        best = self._best(delta)
        if best is None:
            return Lacking(least, self.rows, needed=self._needed(delta))
        limit, line = best
        at = -line if self.target.subject.accepts == "low" else line
        return Lacking(least, self.rows, limit, at, self._needed(delta))

    def _best(self, delta: float) -> tuple[float, float] | None:
        """Return the best limit that a threshold keeps, to a thousandth of the largest loss, and
        the line of that threshold; None if there is none."""
        low, high, found = int(self.risk * _STEPS), _STEPS, None
        while high - low > 1:
            middle = (low + high) // 2
            limit = round(self.target.value(middle / _STEPS * self.every.unit), 9)
            search = Search.of(self.every, replace(self.target, limit=limit), delta, 0)
            size = search.size(delta)
            if size is None:
                low = middle
            else:
                high, found = middle, (limit, search.line(size))
        return found

    def _needed(self, delta: float) -> int | None:
        """Return about how many rows would do, if further ones were like these, rounded up to two
        digits; None if none of the numbers tried does."""
        rows = len(self.every.scores)
        most = max(_TRIED, 4 * rows)
        low, high = rows, 2 * rows
        while not self._does(high, delta):
            low, high = high, 2 * high
            if high > most:
                return None
        while high - low > max(1, high // 50) and high <= _TRIED:  # two digits
            middle = (low + high) // 2
            low, high = (low, middle) if self._does(middle, delta) else (middle, high)
        digits = 10 ** max(math.floor(math.log10(high)) - 1, 0)
        return math.ceil(high / digits) * digits

    def _does(self, rows: int, delta: float) -> bool:
        """Return whether so many rows have a threshold, spread as these ones are."""
        ordered = np.argsort(self.every.scores, kind="stable")
        spread = ordered[np.arange(rows) * len(ordered) // rows]
        more = Search.of(self.every.take(spread), self.target, delta, 0)
        return more.size(delta) is not None


def share_of(target: Target, every: Losses, taken: Array, level: float = DEFAULT_LEVEL) -> Share:
    """Return the subject of a target on a part of the rows, with its interval.

    That is Clopper & Pearson's, with the effective number of rows where they have weights; costs
    spread at most as shares do.
    """
    weights = np.ones(len(taken)) if every.weights is None else every.weights
    rows, whole = int(taken.sum()), float(weights.sum())
    part = min(float(weights[taken].sum() / whole), 1.0) if whole else 0.0
    if target.name == "recall":  # of class 1, the share that is taken
        of, losses = every.counts, (~taken).astype(np.float64)
    else:
        of, losses = taken, every.losses
    if not of.any():
        return Share(rows, part, None)
    w = weights[of]
    mean = float(w @ losses[of] / w.sum())
    effective = float(w.sum() ** 2 / (w @ w))
    low, high = shares.clopper_pearson(np.array([mean]), np.array([effective]), level)
    ends = sorted(target.value(float(end[0]) * every.unit) for end in (low, high))
    return Share(rows, part, target.value(mean * every.unit), *ends)


def shortest(low: float, high: float) -> float:
    """Return the number with the fewest decimals in (low, high]; `high` if none fits.

    >>> shortest(0.71234, 0.7131), shortest(0.5, 0.5)
    (0.713, 0.5)
    """
    for digits in range(_DIGITS):
        value = math.floor(high * 10**digits) / 10**digits
        if low < value <= high:
            return value
    return float(high)


def _misses(ordered: Losses, risk: float) -> Evidence:
    """Return the evidence on a recall: the first rows are missed, the others not."""
    rows, weights = len(ordered.scores), ordered.weights
    if weights is None or not rows or weights.min() == weights.max():
        return Missed(rows, risk)
    return StakedMisses.of(weights / weights.max(), risk)


def _every_size(ordered: Losses) -> Sequence:
    sizes = np.arange(len(ordered.scores) + 1)
    return Sequence(sizes, np.zeros(len(sizes)), np.ones(len(sizes), bool))


@dataclass(frozen=True)
class Missed:
    """Misses among a fixed number of rows: the exact binomial test."""

    rows: int
    risk: float

    def p_values(self, sizes: Array) -> Array:
        return below(sizes, np.full(len(sizes), self.rows), self.risk)
