"""The promise of prediction sets: how often n rows let a new label be covered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from calibtool.errors import UsageError
from calibtool.intervals import beta, beta_binomial

LEVEL = 0.95  # of the ranges that are told beside a promise, as everywhere in this package
NEXT = 1000  # rows of which it is told how many will be covered


@dataclass(frozen=True)
class Promise:
    """What n rows promise of a new row: a coverage whose own value is random, as they are.

    Attributes:
        coverage: the probability, over the n rows and the new one, is at least this.
        rows: n.
    """

    coverage: float
    rows: int

    @property
    def rank(self) -> int:
        """The rank k of the score that is the threshold."""
        return rank_of(self.coverage, self.rows)

    @property
    def shape(self) -> tuple[float, float]:
        """The parameters of the beta distribution of the coverage, over the n rows, where no two
        scores are equal; with equal scores the coverage is larger."""
        return float(self.rank), float(self.rows + 1 - self.rank)

    def own(self, level: float = LEVEL) -> tuple[float, float]:
        """Return where the coverage of these very sets lies with probability `level`."""
        tail = (1 - level) / 2
        return beta.quantile(tail, *self.shape), beta.quantile(1 - tail, *self.shape)

    def observed(self, rows: int, level: float = LEVEL) -> tuple[float, float]:
        """Return where the covered share of `rows` new rows lies with probability `level`, over
        the n rows and the new ones."""
        low, high = beta_binomial.interval(rows, *self.shape, level)
        return low / rows, high / rows


def rank_of(coverage: float, rows: int) -> int:
    """Return the rank of the score that is the threshold, which may be `rows` + 1.

    Of the decimal number that was typed: 0.55 * 100 is 55.000000000000007 in floats.

    >>> rank_of(0.55, 99), rank_of(0.9, 8)
    (55, 9)
    """
    return math.ceil(Fraction(repr(float(coverage))) * (rows + 1))


def fewest_rows(coverage: float) -> int:
    """Return the fewest rows that can promise a coverage: 1 / (1 - coverage) - 1, rounded up.

    >>> fewest_rows(0.9), fewest_rows(0.95), fewest_rows(0.99)
    (9, 19, 99)
    """
    share = Fraction(repr(float(coverage)))
    return math.ceil(share / (1 - share))


def require_coverage(coverage: float) -> None:
    """Check that a coverage lies between 0 and 1. Raises UsageError."""
    if not 0 < coverage < 1:
        meant = f"; did you mean {coverage / 100:g}?" if 1 < coverage < 100 else ""
        raise UsageError(f"--coverage must lie between 0 and 1, not {coverage:g}{meant}")
