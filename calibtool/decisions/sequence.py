"""The fixed sequence of tests that finds a threshold (Angelopoulos et al. 2021, Learn then Test).

Rows are ordered from the safest on. Tests of more and more of the first rows follow one another in
an order that is fixed before a label is looked at; each has a share of delta. A test that passes
hands its share to the next (Wiens 2003: the fallback procedure), and one that fails ends the run,
until the next start. The last test that passed decides.

The promise is exact. Let a test be void if the mean loss above its threshold truly exceeds the
limit. The m rows above the row at rank m + 1 are, given its score, independent rows above that
score, so that the p-value of a void test is valid. Which tests are void depends on the numbers of
rows above the scores where the true mean loss crosses the limit. Between two of these scores it is
exactly the limit, so that knowing the numbers makes no void test easier to pass. Of every run of
passed tests, the first void one has at most the shares since the void test before it; these add up
to at most delta.

Rows with equal scores stay together in what is accepted. For the tests they are in a random order,
so that the argument holds for tests that end among them; before each of these, the rows up to the
last whole group are tested, which alone can be accepted. Whether a void test of a whole group comes
first also depends on how many rows its neighbours have, which makes it only harder to pass: where
no earlier test is void, there are fewer rows of those that keep the limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calibtool.decisions.bounds import Evidence, fewest
from calibtool.intervals.streams import Stream, generator
from calibtool.types import Array

# Tests are at these shares of the rows, and at the starts. With more, chance ends more runs; with
# fewer, the last that passes lies further from the best (benchmarks/guarantees.py).
GRID = 50
# A start has this many times as many rows as the one before it. The first has the fewest that can
# pass, and half of delta, since one error there stops it; the others share the rest.
APART = 3
FIRST = 0.5
# Most of the rows that a start may have: later there is little left to find.
_LATEST = 0.75


@dataclass(frozen=True, eq=False)
class Sequence:
    """The tests, in order.

    Attributes:
        sizes: (M,) how many of the first rows each looks at.
        shares: (M,) the share of delta that it brings with it.
        whole: (M,) whether rows of equal scores are together, so that these rows can be accepted.
    """

    sizes: Array
    shares: Array
    whole: Array

    def last(self, evidence: Evidence, delta: float) -> int:
        """Return the number of rows of the last test that passes and is whole, or 0."""
        chosen, level = 0, 0.0
        if not len(self.sizes):
            return chosen
        passes = evidence.p_values(self.sizes)
        for size, share, whole, p_value in zip(
            self.sizes, self.shares, self.whole, passes, strict=True
        ):
            level += share * delta
            if p_value > level:
                level = 0.0
            elif whole:
                chosen = int(size)
        return chosen

    def unbroken(self, evidence: Evidence, delta: float) -> bool:
        """Return whether every test passes, so that all of delta is left for others."""
        if not len(self.sizes):
            return False
        levels = np.cumsum(self.shares) * delta
        return bool((evidence.p_values(self.sizes) <= levels).all())


def order(scores: Array, seed: int) -> Array:
    """Return the order of the rows by decreasing score, equal scores at random: (n,) indices."""
    lot = generator(Stream.EQUAL_SCORES, seed).random(len(scores))
    return np.lexsort((lot, -scores))


def sequence(scores: Array, risk: float, delta: float) -> Sequence:
    """Return the tests for rows in `order`, by their (n,) scores.

    >>> s = sequence(-np.arange(1000.0), 0.05, 0.05)
    >>> s.sizes[:3].tolist(), s.shares[s.shares > 0].tolist(), len(s.sizes)
    ([72, 80, 100], [0.5, 0.25, 0.25], 50)
    """
    rows = len(scores)
    starts, parts = _starts(rows, risk, delta)
    grid = np.ceil(np.arange(1, GRID + 1) * (rows / GRID)).astype(np.int64)
    ranks = np.unique(np.concatenate([grid, starts]))
    ranks = ranks[(ranks >= starts[0]) & (ranks <= rows)]
    after = np.concatenate([scores, [-math.inf]])
    # the rows before those with the score of the row behind a rank
    before = np.searchsorted(-scores, -after[ranks])
    sizes = np.unique(np.concatenate([ranks, before[before >= starts[0]]]))
    shares = np.zeros(len(sizes))
    reached = [np.searchsorted(sizes, start) for start in starts]
    for at, part in zip(reached, parts, strict=True):
        if at < len(sizes):
            shares[at] += part
    whole = after[sizes - 1] > after[sizes]
    return Sequence(sizes, shares, whole)


def _starts(rows: int, risk: float, delta: float) -> tuple[list[int], list[float]]:
    """Return the numbers of rows at which runs start, and their shares of delta."""
    alone = fewest(risk, delta)
    more: list[int] = []
    while (further := alone * APART ** (len(more) + 1)) <= _LATEST * rows:
        more.append(further)
    if not more:
        return [alone], [1.0]
    return [fewest(risk, FIRST * delta), *more], [FIRST, *[(1 - FIRST) / len(more)] * len(more)]
