"""One pass over a source, to summaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Apply, Readable, unchanged
from calibtool.errors import InputError, UsageError
from calibtool.metrics.spec import Spec
from calibtool.parallel import cores, ordered
from calibtool.streaming.engines.engine import Task, added, batches
from calibtool.streaming.engines.run import run
from calibtool.streaming.exact import MOST_ROWS, Exact
from calibtool.streaming.layout import streams
from calibtool.streaming.reduce import Reducer, block_rows, shape_of
from calibtool.streaming.summary import Layout, Summary
from calibtool.types import Array, Progress, silent

STREAMED_ROWS = 1 << 17  # of more rows, cells are kept in place of rows


# ------------------------------------------------------------------ the pass
@dataclass(frozen=True)
class SummaryTask:
    """What a worker makes of some rows: a state for each system."""

    keep: Layout
    systems: tuple[Apply, ...] = (unchanged,)

    def of(self, blocks: Iterable[Predictions]) -> list[Summary]:
        """The states of blocks, none longer than `block_rows`."""
        reducers: list[Reducer] = []
        pairs: dict[str, Exact] = {}
        pieces = (piece for block in blocks for piece in block.blocks(MOST_ROWS))
        for piece in pieces:
            made = [system(piece) for system in self.systems]
            if not reducers:
                reducers = [Reducer(shape_of(one), self.keep) for one in made]
            values = [reducer.add(one) for reducer, one in zip(reducers, made, strict=True)]
            if len(values) > 1:
                _pair(pairs, values[0], values[1], piece.weights)
        states = [reducer.result() for reducer in reducers]
        if pairs:
            states[1] = replace(states[1], sums=states[1].sums | pairs)
        return states


def summarize(
    readable: Readable,
    keep: Layout,
    systems: Sequence[Apply] = (unchanged,),
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Summary]:
    """The state of all rows, for each system.

    Raises InputError for what is wrong with the data.
    """
    whole = reduce_parts(
        readable, SummaryTask(keep, tuple(systems)), threads=threads, progress=progress
    )
    skipped = readable.skipped if isinstance(readable, Source) else ()
    return [replace(state, source=readable.source, skipped=skipped) for state in whole]


def reduce_parts(
    readable: Readable,
    task: Task,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """What a task makes of every part, added up."""
    tick, threads = progress or silent, threads or cores()
    if isinstance(readable, Source):
        whole = run(readable, task, threads, tick).sums
    else:
        whole, done = [], 0
        blocks = batches(readable.blocks(block_rows(readable.classes)))
        for sums in ordered(task.of, blocks, threads):
            whole, done = added(whole, sums), done + sums[0].rows
            tick("reading", min(done / max(readable.rows, 1), 1.0))
    if not whole:
        raise InputError(f"{readable.source}: there are no rows; nothing can be measured")
    return whole


def max_rows(readable: Readable) -> int:
    """The number of rows, before any filter: what can be known without reading them."""
    return readable.rows_at_most if isinstance(readable, Source) else readable.rows


def is_streamed(readable: Readable, rows: int = STREAMED_ROWS) -> bool:
    """Whether rows are streamed: there are more than so many, or an engine reads them."""
    if has_engine(readable) or max_rows(readable) <= rows:
        return has_engine(readable)
    filtered = isinstance(readable, Source) and readable.choice.filter
    return not filtered or readable.rows > rows


def has_engine(readable: Readable) -> bool:
    """Whether an engine of the user's reads the rows, or the pass is to be kept."""
    return isinstance(readable, Source) and readable.run is not None


def require_streamed(
    readable: Readable, specs: Sequence[Spec], *, cluster: Any = None, ood: Any = None
) -> None:
    """Whether what was asked for can be had from states, where an engine reads the rows.

    Raises UsageError.
    """
    whole = [spec.name for spec in specs if not streams([spec])]
    whole += ["--cluster"] if cluster is not None else []
    whole += ["--ood"] if ood is not None else []
    if whole:
        raise UsageError(
            f"{readable.source}: {', '.join(whole)} needs whole rows in one place, and goes "
            "without a cluster and without --state"
        )


def _pair(
    pairs: dict[str, Exact], a: dict[str, Array], b: dict[str, Array], weights: Array | None
) -> None:
    """Add the weight, and the sums of w d and w**2 d**2 of what a score changes by, d."""
    for name in a.keys() & b.keys():
        difference = b[name].astype(np.float64) - a[name]
        if not np.isfinite(difference).all():
            continue
        w = np.ones(len(difference)) if weights is None else weights
        first, square = w * difference, (w * difference) ** 2
        if weights is None:  # on grids on which the sums are exact
            first, square = (
                np.rint(first * 2.0**30) * 2.0**-30,
                np.rint(square * 2.0**26) * 2.0**-26,
            )
        found = Exact.of(np.array([w.sum(), first.sum(), square.sum()]))
        key = f"pair/{name}"
        pairs[key] = pairs[key] + found if key in pairs else found
