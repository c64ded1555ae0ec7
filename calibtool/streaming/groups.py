"""A summary per group of rows, grouped by columns in the one pass that streams them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibtool.data.cuts import MOST_NUMBERS, Cuts
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.data.slicing import (
    MOST,
    carrying,
    confidence,
    join_rare,
    labelled,
    names_in,
    no_number,
)
from calibtool.data.validation import texts
from calibtool.errors import InputError, NotAvailableError, UsageError
from calibtool.streaming.passes import SummaryTask, reduce_parts
from calibtool.streaming.summary import Summary
from calibtool.types import Array, Progress

# Groups whose summaries are in memory at once: some 2.5 GB at 250 kB per summary of a few metrics
# (docs/how-to/cluster.md). A column with more values, such as a user id, is hardly meant to be
# sliced by.
MOST_GROUPS = 10_000

Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Groups:
    """The summaries of groups of rows. Those of further rows can be added.

    Attributes:
        summaries: the summary of each group, by the group's values of the columns, as texts; of
            columns that are cut, by the numbers of their groups.
        integers: for each column, whether it holds integers, or is cut.
        cuts: of each column, or None.
    """

    summaries: dict[Key, Summary]
    integers: tuple[bool, ...] = ()
    cuts: tuple[Cuts | None, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows of all groups."""
        return sum(summary.rows for summary in self.summaries.values())

    def __add__(self, other: Groups) -> Groups:
        summaries = dict(self.summaries)
        for key, summary in other.summaries.items():
            summaries[key] = summaries[key] + summary if key in summaries else summary
        return Groups(summaries, self.integers, self.cuts)

    def named(self, most: int = MOST) -> tuple[list[tuple[str, Summary]], str]:
        """Return groups with their names, and a note if some were joined or no numbers, else "".

        They are sorted by one column after the other, texts by decreasing number of rows, numbers
        by value. If there are more than `most` groups, the rarest are joined into one.
        """
        ranks = [self._ranks(k) for k in range(len(self.integers))]

        def place(key: Key) -> list[int]:
            return [rank[value] for rank, value in zip(ranks, key, strict=True)]

        order = sorted(self.summaries, key=place)
        names = [", ".join(self._names(key)) for key in order]
        summaries = [self.summaries[key] for key in order]
        lacking = sum(self.summaries[key].rows for key in order if self._lacks(key))
        names, number, note = join_rare(names, [summary.rows for summary in summaries], most)
        joined: dict[int, Summary] = {}
        for k, summary in zip(number.tolist(), summaries, strict=True):
            joined[k] = joined[k] + summary if k in joined else summary
        note = " ".join(text for text in (note, no_number(lacking) if lacking else "") if text)
        return [(name, joined[k]) for k, name in enumerate(names)], note

    def _ranks(self, k: int) -> dict[str, int]:
        """Return the place of each value of a column."""
        rows: Counter[str] = Counter()
        for key, summary in self.summaries.items():
            rows[key[k]] += summary.rows
        if self.integers[k]:
            order = sorted(rows, key=float)
        else:
            order = sorted(rows, key=lambda value: (-rows[value], value))
        return {value: place for place, value in enumerate(order)}

    def _names(self, key: Key) -> list[str]:
        return [
            (value or "(empty)") if cuts is None else cuts.names[int(value)]
            for value, cuts in zip(key, self.cuts, strict=True)
        ]

    def _lacks(self, key: Key) -> bool:
        """Return whether a group is of rows without a number in a column that is cut."""
        pairs = zip(key, self.cuts, strict=True)
        return any(cuts is not None and int(value) == len(cuts.edges) for value, cuts in pairs)


@dataclass(frozen=True)
class GroupTask:
    """The task that makes a summary for each group of rows.

    Attributes:
        each: the task that summarises a group; the summary of its first variant is used.
        by: the columns that divide the rows, as for `--by`.
        cuts: how columns of many numbers are divided.
    """

    each: SummaryTask
    by: str
    cuts: Mapping[str, Cuts] = field(default_factory=dict)

    def reduce(self, blocks: Iterable[Predictions]) -> list[Groups]:
        """Return the summaries of the groups in these blocks.

        The rows of a group are collected from all blocks first: a summary costs about as much to
        make for ten rows as for ten thousand.
        """
        rows: dict[Key, list[Predictions]] = {}
        integers: tuple[bool, ...] = ()
        for block in blocks:
            columns = [self._column(block, name) for name in names_in(self.by)]
            integers = tuple(column.dtype.kind in "iu" for column in columns)
            for key, index in _rows_by_key(columns):
                rows.setdefault(key, []).append(block.take(index))
            if len(rows) > MOST_GROUPS:
                raise InputError(
                    f"{block.source}: {self.by} has more than {MOST_GROUPS:,} values; slice by "
                    "columns with fewer values"
                )
        summaries = {key: self.each.reduce(parts)[0] for key, parts in rows.items()}
        return [Groups(summaries, integers, tuple(map(self.cuts.get, names_in(self.by))))]

    def _column(self, block: Predictions, name: str) -> Array:
        """Return the values of a column, or the numbers of their groups where it is cut."""
        cuts = self.cuts.get(name)
        if cuts is None:
            return _column(block, name)
        values = block.extra[name] if name in block.extra else confidence(block)
        if not cuts.fits(values):
            raise NotAvailableError(
                f"{block.source}: {name} has few distinct values in a sample of the rows, and more "
                "among all"
            )
        return cuts.codes(values)

    def describe(self) -> dict[str, Any]:
        """Raise UsageError: a checkpoint holds one summary per variant, not one per group."""
        raise UsageError("--state: cannot be combined with --by")


def summarize_groups(
    source: Source,
    by: str,
    task: SummaryTask,
    cuts: Mapping[str, Cuts] | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Groups:
    """Return the summaries of all groups, in one pass.

    Args:
        source: the rows.
        by: the columns that divide them, as for `--by`.
        task: what is summed of each group.
        cuts: how columns of many numbers are divided.

    Raises InputError if a column is missing, NotAvailableError if it holds numbers that would have
    to be divided at quantiles, and `cuts` does not say how.
    """
    each = GroupTask(task, by, cuts or {})
    groups: Groups = reduce_parts(carrying(source, [by]), each, threads=threads, progress=progress)[
        0
    ]
    for k, name in enumerate(names_in(by)):
        values = {key[k] for key in groups.summaries}
        if name not in each.cuts and groups.integers[k] and len(values) > MOST_NUMBERS:
            raise NotAvailableError(
                f"{source.source}: {name} has {len(values):,} distinct values; when streaming, "
                f"slice by text columns or by integers with at most {MOST_NUMBERS} values"
            )
    return groups


def _column(block: Predictions, name: str) -> Array:
    """Return the values of a column by which rows are grouped, (n,).

    Raises InputError, NotAvailableError.
    """
    place = f"{block.source}: {name}"
    if name not in block.extra and name == "predicted":
        codes = reduce_rows(labelled(block), want=["predicted"], lean=True).predicted
        if codes is None:
            raise InputError(
                f"{place}: the file holds confidences alone, so the predicted class is not known"
            )
        names = block.class_names
        return np.array(names, dtype=str)[codes] if names else codes
    if name not in block.extra:
        raise NotAvailableError(f"{place}: the file has no such column")
    column = block.extra[name]
    if column.ndim != 1:
        raise InputError(f"{place}: holds several values per row, expected one")
    if column.dtype.kind == "f":
        raise NotAvailableError(
            f"{place}: holds numbers with fractions; when streaming, slice by text columns or by "
            f"integers with at most {MOST_NUMBERS} values"
        )
    return texts(column, place) if column.dtype.kind in "SO" else column


def _rows_by_key(columns: Sequence[Array]) -> list[tuple[Key, Array]]:
    """Return each combination of values that occurs, with the numbers of its rows."""
    # one integer per combination, so that one sort of integers finds the groups
    count, codes = _distinct(columns[0])
    for column in columns[1:]:
        values, inverse = _distinct(column)
        codes, count = codes * values + inverse, count * values
    # integers of 16 bits are sorted in linear time
    small = codes.astype(np.uint16) if count <= 1 << 16 else codes
    order = np.argsort(small, kind="stable")
    ordered = small[order]
    cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    return [
        (tuple(str(column[index[0]]) for column in columns), index)
        for index in np.split(order, cuts)
    ]


def _distinct(column: Array) -> tuple[int, Array]:
    """Return a number for each value, and how many numbers there are at most."""
    if column.dtype.kind in "iu" and len(column):
        low, high = int(column.min()), int(column.max())
        if high - low < len(column):
            return high - low + 1, column.astype(np.int64) - low
    values, inverse = np.unique(column, return_inverse=True)
    return len(values), inverse
