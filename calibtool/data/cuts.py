"""Cuts: a column of many numbers is divided into groups of about equal numbers of rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from calibtool.errors import InputError
from calibtool.types import Array

# Most distinct numbers that have a slice each; columns of more numbers get quantile groups. Ratings
# and months have fewer values than this, ages and prices more.
MOST_NUMBERS = 20
QUANTILES = 8  # quantile groups of a column of numbers: octiles
DECILES = 10  # groups of the pseudo-column "confidence"
NO_NUMBER = "(not a number)"


@dataclass(frozen=True, eq=False)
class Cuts:
    """Groups of numbers.

    Attributes:
        edges: (G,) the largest value of each group, increasing; all larger values are in the last.
        names: of the G groups, and of values that are no finite numbers.
        each: whether every group is one value, its edge.
    """

    edges: Array
    names: tuple[str, ...]
    each: bool = False

    def codes(self, values: Array) -> Array:
        """Return the (N,) int64 number of the group of each value."""
        # the number of edges below a value: a search for each value takes six times as long
        codes = np.zeros(len(values), np.int8)
        for edge in self.edges[:-1]:
            codes += values > edge
        codes[~np.isfinite(values)] = len(self.edges)
        return codes.astype(np.int64)

    def fits(self, values: Array) -> bool:
        """Return whether values are in the groups that their names say: False where each group is
        one value and there are others."""
        return not self.each or bool(np.isin(values[np.isfinite(values)], self.edges).all())


def is_cut(column: Array) -> bool:
    """Return whether (N,) values are divided into groups, rather than having a group each."""
    integers = column.dtype.kind in "iu"
    return column.dtype.kind == "f" or (integers and len(np.unique(column)) > MOST_NUMBERS)


def octiles(column: Array, place: str, *, drawn: bool = False) -> Cuts:
    """Return groups of about equal numbers of rows; equal values stay together.

    Few distinct numbers have a group each.

    Args:
        column: (N,) float64 values.
        place: file and column, for messages.
        drawn: whether they are a sample of the values that will be grouped, so that the smallest
            and the largest are not known.

    Raises InputError where no value is a finite number.
    """
    finite = column[np.isfinite(column)]
    values = np.unique(finite)
    if not len(values):
        raise InputError(f"{place}: no value is a finite number")
    if len(values) <= MOST_NUMBERS:
        return Cuts(values, (*(f"{value:g}" for value in values), NO_NUMBER), each=True)
    edges = _quantiles(finite, QUANTILES)
    names = _ranges(edges, None if drawn else values[0], ".4g")
    # edges that agree in four digits need all digits to be told apart
    names = names if len(set(names)) == len(names) else [f"up to {b:.17g}" for b in edges]
    return Cuts(edges, (*names, NO_NUMBER))


def tenths(confidence: Array, *, drawn: bool = False) -> Cuts:
    """Return tenths of the rows, numbered from the least confident; equal values stay together.

    The arguments are those of `octiles`.
    """
    edges = _quantiles(confidence, DECILES)
    names = _ranges(edges, None if drawn else confidence.min(), ".4f")
    return Cuts(edges, (*(f"{k}: {name}" for k, name in enumerate(names, 1)), NO_NUMBER))


def _quantiles(values: Array, groups: int) -> Array:
    return np.unique(np.quantile(values, np.arange(1, groups + 1) / groups, method="higher"))


def _ranges(edges: Array, least: float | None, digits: str) -> list[str]:
    """Return the names of groups; without ends on either side where the least value is not known.

    >>> _ranges(np.array([1.0, 2, 3]), 0.5, "g"), _ranges(np.array([1.0, 2, 3]), None, "g")
    (['0.5 to 1', '1 to 2', '2 to 3'], ['up to 1', '1 to 2', 'above 2'])
    """
    if least is not None:
        pairs = itertools.pairwise([least, *edges])
        return [f"{a:{digits}} to {b:{digits}}" for a, b in pairs]
    if len(edges) == 1:
        return ["all"]
    inner = [f"{a:{digits}} to {b:{digits}}" for a, b in itertools.pairwise(edges[:-1])]
    return [f"up to {edges[0]:{digits}}", *inner, f"above {edges[-2]:{digits}}"]
