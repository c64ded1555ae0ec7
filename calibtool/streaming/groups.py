"""States of groups: the rows parted by columns, in the one pass that streams them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
from calibtool.errors import InputError, NotAvailableError
from calibtool.streaming.passes import SummaryTask, reduce_parts
from calibtool.streaming.summary import Layout, Summary
from calibtool.types import Array, Progress

MOST_GROUPS = 10_000  # groups whose states are held

Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Groups:
    """The states of groups of rows, by the values of the columns that part them. They add up."""

    states: dict[Key, Summary]
    whole: tuple[bool, ...] = ()  # which columns hold whole numbers

    @property
    def rows(self) -> int:
        """Of all groups."""
        return sum(state.rows for state in self.states.values())

    def __add__(self, other: Groups) -> Groups:
        states = dict(self.states)
        for key, state in other.states.items():
            states[key] = states[key] + state if key in states else state
        return Groups(states, self.whole)

    def named(self, most: int = MOST) -> tuple[list[tuple[str, Summary]], str]:
        """Groups by name, texts with the most rows first, numbers in their order; the rarest joined
        where there are more than `most`, and a note that says so."""
        numbers = all(self.whole)
        order = sorted(
            self.states,
            key=lambda k: [float(v) for v in k] if numbers else [-self.states[k].rows, *k],
        )
        names = [", ".join(v or "(empty)" for v in key) for key in order]
        summaries = [self.states[key] for key in order]
        names, number, note = join_rare(names, [summary.rows for summary in summaries], most)
        joined: dict[int, Summary] = {}
        for k, summary in zip(number.tolist(), summaries, strict=True):
            joined[k] = joined[k] + summary if k in joined else summary
        return [(name, joined[k]) for k, name in enumerate(names)], note


@dataclass(frozen=True)
class GroupTask(SummaryTask):
    """What a worker makes of some rows: the states of their groups."""

    by: str = ""

    def of(self, blocks: Iterable[Predictions]) -> list[Groups]:  # type: ignore[override]
        """The states of the groups of blocks, which are held together."""
        held: dict[Key, list[Predictions]] = {}
        whole: tuple[bool, ...] = ()
        for block in blocks:
            columns = [_column(block, name) for name in names_in(self.by)]
            whole = tuple(column.dtype.kind in "iu" for column in columns)
            for key, index in _parted(columns):
                held.setdefault(key, []).append(block.take(index))
            if len(held) > MOST_GROUPS:
                raise InputError(
                    f"{block.source}: {self.by} has more than {MOST_GROUPS:,} values; slices go by "
                    "columns of fewer"
                )
        task = SummaryTask(self.keep, self.systems)
        return [Groups({key: task.of(parts)[0] for key, parts in held.items()}, whole)]


def summarize_groups(
    source: Source,
    by: str,
    keep: Layout,
    task: SummaryTask,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Groups:
    """The states of all groups, in one pass.

    Raises InputError where a column is not there, NotAvailableError where it holds numbers that
    are parted at quantiles, which one pass does not know.
    """
    known = [name for name in source.table.columns if name not in set(source.roles.columns())]
    carrying = source.also(columns_of(by, known))
    found = reduce_parts(
        carrying, GroupTask(keep, task.systems, by), threads=threads, progress=progress
    )
    groups: Groups = found[0]
    for k, name in enumerate(names_in(by)):
        values = {key[k] for key in groups.states}
        if groups.whole[k] and len(values) > MOST_NUMBERS:
            raise NotAvailableError(
                f"{source.source}: {name} holds {len(values):,} different numbers; of so many "
                f"rows, slices go by texts, or by whole numbers of up to {MOST_NUMBERS} values"
            )
    return groups


def _column(block: Predictions, name: str) -> Array:
    """The values that part a block's rows."""
    place = f"{block.source}: {name}"
    if name not in block.extra and name == "predicted":
        found = reduce_rows(labelled(block), want=["predicted"], lean=True).predicted
        if found is None:
            raise InputError(f"{place}: the predicted class is not known beside confidences alone")
        names = block.class_names
        return np.array(names, dtype=str)[found] if names else found
    if name not in block.extra:
        raise NotAvailableError(f"{place}: is no column of the file")
    column = block.extra[name]
    if column.ndim != 1:
        raise InputError(f"{place}: holds several values a row; rows go by one value each")
    if column.dtype.kind == "f":
        raise NotAvailableError(
            f"{place}: holds numbers with fractions; of so many rows, slices go by texts, or by "
            f"whole numbers of up to {MOST_NUMBERS} values"
        )
    return column


def _parted(columns: Sequence[Array]) -> list[tuple[Key, Array]]:
    """The rows of each combination of values."""
    parts = [np.unique(column, return_inverse=True) for column in columns]
    codes = np.zeros(len(columns[0]), np.int64)
    for values, inverse in parts:
        codes = codes * len(values) + inverse
    order = np.argsort(codes, kind="stable")
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    return [
        (tuple(str(column[index[0]]) for column in columns), index)
        for index in np.split(order, cuts)
    ]
