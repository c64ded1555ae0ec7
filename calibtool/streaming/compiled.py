"""The two loops that every row goes through, compiled by numba where it is installed (the extra
`fast`) and there are enough rows.

They compute what `grid` and `exact` compute by NumPy, with the same bits: sums are on grids on
which nothing is rounded, so that the order of the addends does not matter. One loop does at once
what takes NumPy ten passes over its buffers, and other threads run meanwhile: it holds no GIL.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from calibtool.types import Array

# Rows of one process from which on the compiled loops are used. Importing numba takes 0.25 s of a
# core, and loading what it compiled on an earlier run 0.3 s. The default metrics of a row then cost
# 17 ns less and its ECE alone 6 ns: that is made up for after 3e7 and after 9e7 rows.
PAYS = 1 << 26


@dataclass(frozen=True)
class Loops:
    """The compiled functions `count_rows` and `sum_powers`."""

    count_rows: Callable[..., int]
    sum_powers: Callable[[Array], tuple[float, float, float, float]]


_in_use: Loops | None = None
_rows = 0


def loops() -> Loops | None:
    """Return the compiled loops if they are to be used, None for NumPy."""
    return _in_use


def expect(rows: int) -> None:
    """Say before a pass how many rows it has: with PAYS of them in this process, in one pass or in
    many, the compiled loops are used from here on."""
    global _rows, _in_use  # noqa: PLW0603 - a module that is imported is one of the process, too
    _rows += rows
    if _rows >= PAYS and _in_use is None:
        _in_use = compiled()


@lru_cache(maxsize=1)
def compiled() -> Loops | None:
    """Return the loops, compiled (or read from numba's cache); None without numba, or without a
    folder for its cache: it would compile them in every process."""
    try:
        # not an import statement: numba has types of its own in some versions and none in others
        numba: Any = import_module("numba")
        types = numba.types

        def read_only(kind: Any) -> Any:
            return types.Array(kind, 1, "C", readonly=True)

        sums, numbers = types.float64[::1], types.int64[::1]
        signatures = [
            types.int64(
                read_only(kind), read_only(types.boolean), read_only(types.int16),
                numbers, sums, sums, numbers,
            )
            for kind in (types.float32, types.float64)
        ]  # fmt: skip
        make = {"nogil": True, "cache": True}
        return Loops(
            numba.njit(signatures, **make)(count_rows),
            numba.njit([types.UniTuple(types.float64, 4)(read_only(types.float64))], **make)(
                sum_powers
            ),
        )
    except (ImportError, OSError, RuntimeError):  # none, a broken one, or no folder for its cache
        return None


def count_rows(
    score: Array,
    outcome: Array,
    table: Array,
    count: Array,
    mass: Array,
    lost: Array,
    apart: Array,
) -> int:
    """Add rows to the sums of their cells, as `grid.Tally` explains.

    Args:
        score: (n,) float32 or float64.
        outcome: (n,) bool.
        table: (FINEST + 1,) int16, the cell of each finer interval; C for rows to set apart.
        count: (2 C + 2,) int64, the misses and the hits of each cell in turn, added to.
        mass: (C + 1,) float64, the sums of the scores rounded to float32, added to.
        lost: (C + 1,) float64, the sums of what that rounding took away, added to.
        apart: (n,) int64, filled with the numbers of the rows that are set apart.

    Returns the number of rows that are set apart.
    """
    # unsigned indices, since signed ones are checked for being negative
    finest, last = float(len(table) - 1), np.uint64(len(mass) - 1)
    wide = score.itemsize > 4
    found = 0
    for row in range(len(score)):
        value = np.float64(score[row])
        interval = np.uint64(0)
        if value > 0.0:
            interval = np.uint64(math.ceil(min(value, 1.0) * finest))
        cell = np.uint64(table[interval])
        near = np.float64(np.float32(value))
        mass[cell] += near
        if wide:
            lost[cell] += np.rint((value - near) * 2.0**57) * 2.0**-57
        count[np.uint64(2) * cell + np.uint64(outcome[row])] += 1
        if cell == last:
            apart[found] = row
            found += 1
    return found


def sum_powers(values: Array) -> tuple[float, float, float, float]:
    """Return the sums of values in two parts, of their squares and of their cubes, as
    `exact.moments` explains.

    Args:
        values: (n,) float64, below 2**5; n at most 2**17.
    """
    first = rest = second = third = 0.0
    for value in values:
        scaled = value * 2.0**30
        coarse = np.rint(scaled)
        first += coarse
        rest += np.rint((scaled - coarse) * 2.0**36)
        square = value * value
        second += np.rint(square * 2.0**26)
        third += np.rint(square * value * 2.0**20)
    return first * 2.0**-30, rest * 2.0**-66, second * 2.0**-26, third * 2.0**-20
