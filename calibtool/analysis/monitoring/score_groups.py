"""Groups of neighbouring scores, in which a change is looked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibtool.types import Array

# Information, sum of p (1 - p) over rows, from which on there are groups. Fewer rows cannot show a
# change of less than 1 / sqrt(12) = 0.3 log-odds.
_LEAST = 12.0
# Information per period and group: counts with a smaller variance lose more than a few per cent of
# it to the breaking of ties.
_ENOUGH = 4.0
_MOST = 12  # groups; curves of calibration rarely have more than a few bends
# Smallest p (1 - p) of a row. Scores nearer to 0 or 1 than 0.003 are often less sure than they say,
# and would be left out of account.
_SMALLEST = 0.003


@dataclass(frozen=True, eq=False)
class ScoreGroups:
    """Groups of cells of scores.

    Attributes:
        start: number of the period from which on there are groups; that of no period if none.
        of: (C,) number of the group of each cell, increasing.
        centre: (G,) mean logit of the groups.
        middle: mean logit of all rows.
    """

    start: int
    of: Array
    centre: Array
    middle: float

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.centre)


def information(score: Array) -> Array:
    """Return the information on a shift of the log-odds that a row with each score has."""
    return np.maximum(score * (1 - score), _SMALLEST)


def groups_of(z: Array, rows: Array, score: Array) -> ScoreGroups:
    """Return groups with about equal information.

    They rest on the rows of the first periods alone, whatever comes later, and on no outcome.

    Args:
        z: (C,) logits of the cells, increasing.
        rows: (T, C) rows of each period.
        score: (C,) or (T, C) scores of the rows.
    """
    weight = rows * information(score)
    enough = np.cumsum(weight.sum(1)) >= _LEAST
    if not enough.any():
        return ScoreGroups(len(rows), np.zeros(len(z), np.intp), np.zeros(1), 0.0)
    start = int(np.argmax(enough))
    mass = weight[: start + 1].sum(0)
    count = int(np.clip(mass.sum() / (start + 1) / _ENOUGH, 1, _MOST))
    share = (np.cumsum(mass) - mass / 2) / mass.sum()
    of = np.minimum((share * count).astype(np.intp), count - 1)
    total, moment = (np.bincount(of, x, count) for x in (mass, mass * z))
    centre = np.divide(moment, total, out=np.zeros(count), where=total > 0)
    return ScoreGroups(start, of, centre, float(moment.sum() / total.sum()))
