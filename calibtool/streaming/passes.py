"""One pass over the rows, to summaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from threading import Semaphore
from typing import Any

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Apply, Readable, unchanged
from calibtool.errors import InputError, UsageError
from calibtool.parallel import cores
from calibtool.streaming import compiled
from calibtool.streaming.engines.engine import Task, reduce_blocks
from calibtool.streaming.engines.run import run
from calibtool.streaming.exact import MOST_ROWS, Exact, add_to
from calibtool.streaming.reduce import Reducer, block_rows, only_counts, shape_of
from calibtool.streaming.streamed import max_rows
from calibtool.streaming.summary import Layout, Summary
from calibtool.streaming.unit_sums import UnitColumns, UnitSums
from calibtool.types import Array, Progress, silent

# Held by the threads whose turn it is: half of all, while the others read.
_COUNTING = Semaphore(max(1, cores() // 2))


@dataclass(frozen=True)
class SummaryTask:
    """The task that makes a summary for each variant.

    Attributes:
        layout: what the summaries hold.
        variants: what is applied to the rows before they are summed, one function per variant.
        columns: what is also summed by unit, or None.
    """

    layout: Layout
    variants: tuple[Apply, ...] = (unchanged,)
    columns: UnitColumns | None = None

    def reduce(self, blocks: Iterable[Predictions]) -> list[Any]:
        """Return the summaries of blocks none of which is longer than `block_rows`, followed by
        the sums by unit of each variant, if there are any.

        With two variants, the second summary also holds the moments of the change of each score
        from the first to it: differences row by row, from which paired intervals follow.
        """
        reducers: list[Reducer] = []
        pairs: dict[str, Exact] = {}
        for block in blocks:
            with self._turn(block):
                for piece in block.blocks(MOST_ROWS):
                    self._add(piece, reducers, pairs)
                    del piece
            del block  # not held while the next one is read
        summaries = [reducer.result() for reducer in reducers]
        if pairs:
            summaries[1] = replace(summaries[1], sums=summaries[1].sums | pairs)
        return [*summaries, *(reducer.units for reducer in reducers if reducer.units is not None)]

    def _turn(self, block: Predictions) -> AbstractContextManager[Any]:
        """Return what lets half of the threads count at a time, where rows are counted by NumPy and
        nothing else is done with them.

        Counting then takes about as long as reading, and half of it the GIL: threads that count at
        the same time wait for one another at every call, those that take turns read meanwhile.
        """
        alone = self.variants == (unchanged,) and self.columns is None
        if alone and compiled.loops() is None and only_counts(shape_of(block), self.layout):
            return _COUNTING
        return nullcontext()

    def _add(self, piece: Predictions, reducers: list[Reducer], pairs: dict[str, Exact]) -> None:
        """Add a piece of a block to the sums of every variant, which begin with the first piece."""
        applied = [apply(piece) for apply in self.variants]
        if not reducers:
            reducers += [Reducer(shape_of(rows), self.layout, self.columns) for rows in applied]
        # a calibrator does not carry further columns along
        numbers = None if self.columns is None else piece.extra[self.columns.column]
        pairs_of = zip(reducers, applied, strict=True)
        scores = [reducer.add(rows, numbers) for reducer, rows in pairs_of]
        if len(scores) > 1:
            _add_pairs(pairs, scores[0], scores[1], piece.weights)

    def describe(self) -> dict[str, Any]:
        """Return the layout and the calibrators, for a checkpoint.

        Raises UsageError for a calibrator of another library, which cannot be told from others.
        """
        return {
            "metrics": asdict(self.layout),
            "calibrators": [_described(apply) for apply in self.variants],
        }


def _described(apply: Any) -> Any:
    """Return a calibrator of calibtool as its document, `unchanged` as its name."""
    if hasattr(apply, "document"):
        return apply.document()
    name = getattr(apply, "__qualname__", None)
    if name is None:
        raise UsageError("--state: can only be used with calibrators of calibtool")
    return name


def summarize(
    readable: Readable,
    layout: Layout,
    variants: Sequence[Apply] = (unchanged,),
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Summary]:
    """Return the summary of all rows, for each variant, in one pass.

    Raises InputError for what is wrong with the data.
    """
    task = SummaryTask(layout, tuple(variants))
    return summarize_by_unit(readable, task, threads=threads, progress=progress)[0]


def summarize_by_unit(
    readable: Readable,
    task: SummaryTask,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[list[Summary], list[UnitSums]]:
    """Return the summary of all rows, and their sums by unit if the task has columns for them, for
    each variant, in one pass.

    Raises InputError for what is wrong with the data.
    """
    sums = reduce_parts(readable, task, threads=threads, progress=progress)
    skipped = readable.skipped if isinstance(readable, Source) else ()
    summaries = sums[: len(task.variants)]
    named = [replace(summary, source=readable.source, skipped=skipped) for summary in summaries]
    return named, sums[len(task.variants) :]


def reduce_parts(
    readable: Readable,
    task: Task,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """Return the sums that a task makes of all rows.

    Raises InputError if there are no rows.
    """
    tick, threads = progress or silent, threads or cores()
    if not (isinstance(readable, Source) and readable.run and readable.run.engine):
        compiled.expect(max_rows(readable))  # workers count the rows that come to them
    if isinstance(readable, Source):
        sums = run(readable, task, threads, tick).sums
    else:
        rows = max(readable.rows, 1)
        blocks = readable.blocks(block_rows(readable.classes))
        sums = reduce_blocks(
            task, blocks, threads, lambda sums: tick("reading", min(sums[0].rows / rows, 1.0))
        )
    if not sums:
        raise InputError(f"{readable.source}: there are no rows; nothing can be measured")
    return sums


def _add_pairs(
    pairs: dict[str, Exact],
    before: dict[str, Array],
    after: dict[str, Array],
    weights: Array | None,
) -> None:
    """Add the sums of w, w d and w**2 d**2 for the change d of each score."""
    for name in before.keys() & after.keys():
        difference = after[name].astype(np.float64) - before[name]
        if not np.isfinite(difference).all():
            continue
        w = np.ones(len(difference)) if weights is None else weights
        first, square = w * difference, (w * difference) ** 2
        if weights is None:
            # on the grids of `exact.moments`, on which the sums are not rounded
            first, square = (
                np.rint(first * 2.0**30) * 2.0**-30,
                np.rint(square * 2.0**26) * 2.0**-26,
            )
        add_to(pairs, f"pair/{name}", Exact.of(np.array([w.sum(), first.sum(), square.sum()])))
