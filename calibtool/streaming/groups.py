"""A summary per group of rows, grouped by columns in the one pass that streams them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.data.slicing import (
    MOST,
    MOST_NUMBERS,
    columns_of,
    join_rare,
    labelled,
    names_in,
)
from calibtool.data.validation import texts
from calibtool.errors import InputError, NotAvailableError, UsageError
from calibtool.streaming.passes import SummaryTask, reduce_parts
from calibtool.streaming.summary import Summary
from calibtool.types import Array, Progress

# Groups whose summaries are in memory at once: some 2.5 GB at 250 kB per summary of a few metrics
# (docs/cluster.md). A column with more values, such as a user id, is hardly meant to be sliced by.
MOST_GROUPS = 10_000

Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Groups:
    """The summaries of groups of rows. Those of further rows can be added.

    Attributes:
        summaries: the summary of each group, by the group's values of the columns, as texts.
        integers: for each column, whether it holds integers.
    """

    summaries: dict[Key, Summary]
    integers: tuple[bool, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows of all groups."""
        return sum(summary.rows for summary in self.summaries.values())

    def __add__(self, other: Groups) -> Groups:
        summaries = dict(self.summaries)
        for key, summary in other.summaries.items():
            summaries[key] = summaries[key] + summary if key in summaries else summary
        return Groups(summaries, self.integers)

    def named(self, most: int = MOST) -> tuple[list[tuple[str, Summary]], str]:
        """Return groups with their names, and a note if some were joined, else "".

        Texts are sorted by decreasing number of rows, numbers by value. If there are more than
        `most` groups, the rarest are joined into one.
        """

        def rank(key: Key) -> list[Any]:
            if all(self.integers):
                return [float(value) for value in key]
            return [-self.summaries[key].rows, *key]

        order = sorted(self.summaries, key=rank)
        names = [", ".join(value or "(empty)" for value in key) for key in order]
        summaries = [self.summaries[key] for key in order]
        names, number, note = join_rare(names, [summary.rows for summary in summaries], most)
        joined: dict[int, Summary] = {}
        for k, summary in zip(number.tolist(), summaries, strict=True):
            joined[k] = joined[k] + summary if k in joined else summary
        return [(name, joined[k]) for k, name in enumerate(names)], note


@dataclass(frozen=True)
class GroupTask:
    """The task that makes a summary for each group of rows.

    Attributes:
        each: the task that summarises a group; the summary of its first variant is used.
        by: the columns that divide the rows, as for `--by`.
    """

    each: SummaryTask
    by: str

    def reduce(self, blocks: Iterable[Predictions]) -> list[Groups]:
        """Return the summaries of the groups in these blocks.

        The rows of a group are collected from all blocks first: a summary costs about as much to
        make for ten rows as for ten thousand.
        """
        rows: dict[Key, list[Predictions]] = {}
        integers: tuple[bool, ...] = ()
        for block in blocks:
            columns = [_column(block, name) for name in names_in(self.by)]
            integers = tuple(column.dtype.kind in "iu" for column in columns)
            for key, index in _rows_by_key(columns):
                rows.setdefault(key, []).append(block.take(index))
            if len(rows) > MOST_GROUPS:
                raise InputError(
                    f"{block.source}: {self.by} has more than {MOST_GROUPS:,} values; slice by "
                    "columns with fewer values"
                )
        summaries = {key: self.each.reduce(parts)[0] for key, parts in rows.items()}
        return [Groups(summaries, integers)]

    def describe(self) -> dict[str, Any]:
        """Raise UsageError: a checkpoint holds one summary per variant, not one per group."""
        raise UsageError("--state: cannot be combined with --by")


def summarize_groups(
    source: Source,
    by: str,
    task: SummaryTask,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Groups:
    """Return the summaries of all groups, in one pass.

    Raises InputError if a column is missing, NotAvailableError if it holds numbers that would have
    to be divided at quantiles, which one pass does not know.
    """
    known = [name for name in source.table.columns if name not in set(source.roles.columns())]
    carrying = source.also(columns_of(by, known))
    results = reduce_parts(carrying, GroupTask(task, by), threads=threads, progress=progress)
    groups: Groups = results[0]
    for k, name in enumerate(names_in(by)):
        values = {key[k] for key in groups.summaries}
        if groups.integers[k] and len(values) > MOST_NUMBERS:
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
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, inverse = np.unique(column, return_inverse=True)
        codes = codes * len(values) + inverse
    order = np.argsort(codes, kind="stable")
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    return [
        (tuple(str(column[index[0]]) for column in columns), index)
        for index in np.split(order, cuts)
    ]
