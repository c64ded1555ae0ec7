"""Engine: who runs a pass, such as threads of this process or the workers of a cluster.

A pass maps every part of a source to sums and adds these in one tree, whose shape depends on the
parts alone. Every engine, and a pass that is resumed, adds the same numbers in the same order: the
result has the same bits, also for weighted rows, whose sums are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.errors import UnreadableError
from calibtool.parallel import ordered
from calibtool.streaming.engines.tree import Node
from calibtool.streaming.reduce import block_rows
from calibtool.types import silent

# Blocks of predictions that a thread reduces at a time. Each result is as large as a summary and
# has to be added: 2 blocks halve the number of additions. More blocks take more memory per thread.
BLOCKS = 2


class Task(Protocol):
    """A computation on rows. It can be pickled if workers are other processes."""

    def reduce(self, blocks: Iterable[Predictions]) -> list[Any]:
        """Return sums over blocks none of which is longer than `block_rows`; `+` adds them to the
        sums over other blocks."""

    def describe(self) -> dict[str, Any]:
        """Return what is computed as JSON values, by what messages call it.

        Only a task of the same description can resume a checkpoint. Raises UsageError if a pass
        with this task cannot be resumed.
        """


@dataclass(frozen=True, eq=False)
class PartResult:
    """The sums over some parts.

    Attributes:
        sums: the sums that the task returned; empty if there were no rows.
        bad: files that cannot be read, as (number, name, reason). Once a file is complete, `sums`
            holds nothing of it if it is bad.
    """

    sums: list[Any] = field(default_factory=list)
    bad: tuple[tuple[int, str, str], ...] = ()

    def __add__(self, other: PartResult) -> PartResult:
        return PartResult(added(self.sums, other.sums), self.bad + other.bad)

    def of_whole_file(self) -> PartResult:
        """Return this result of a whole file or, if the file is bad, its first error alone.

        A truncated file would otherwise count with as many rows as happened to be readable.
        """
        return PartResult(bad=self.bad[:1]) if self.bad else self


class Engine(Protocol):
    """Maps parts to sums: calls `of_part` for every part, in any place and order."""

    def run(
        self, task: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """Yield results at nodes of the tree, in order, for the parts from number `done` on.

        Each part is in exactly one node. An engine that leaves all additions to the caller yields
        leaves.
        """


@dataclass(frozen=True)
class RunOptions:
    """Options of a pass over a source.

    Attributes:
        engine: the engine that maps the parts; None for threads of this process.
        state: the checkpoint file, or None.
        say: called once, with a sentence, if an interrupted pass is resumed.
    """

    engine: Engine | None = None
    state: Path | None = None
    say: Callable[[str], None] = silent


def of_part(task: Task, source: Source, part: Part, threads: int = 1) -> PartResult:
    """Return the sums over a part: the map step of every engine."""
    try:
        blocks = source.part_blocks(part, block_rows(source.classes))
        return PartResult(reduce_blocks(task, blocks, threads))
    except UnreadableError as error:
        return PartResult(bad=((part.number, error.file, error.reason),))


def reduce_blocks(
    task: Task,
    blocks: Iterable[Predictions],
    threads: int = 1,
    watch: Callable[[list[Any]], None] = lambda sums: None,
) -> list[Any]:
    """Return the sums over all blocks, added in their order whatever the number of threads.

    `watch` is called with the sums so far, after every few blocks.
    """
    total: list[Any] = []
    some = batches(blocks)
    # one thread reads a block after it made the sums of the one before, which it then drops
    each = ordered(task.reduce, map(list, some), threads) if threads > 1 else map(task.reduce, some)
    for sums in each:
        total = added(total, sums)
        watch(total)
    return total


def combine(results: Iterable[PartResult], *, whole: bool) -> PartResult:
    """Return the sum of neighbours in the tree, in their order: the reduce step of every engine.

    `whole` says that they are all parts of one file.
    """
    total = PartResult()
    for result in results:
        total += result
    return total.of_whole_file() if whole else total


def added(sums: list[Any], more: list[Any]) -> list[Any]:
    """Add sums, one per variant, to those of other rows; [] stands for no rows."""
    if not sums or not more:
        return sums or more
    return [a + b for a, b in zip(sums, more, strict=True)]


def batches(blocks: Iterable[Predictions]) -> Iterator[Iterable[Predictions]]:
    """Yield blocks, BLOCKS at a time, that are read when they are asked for."""
    blocks = iter(blocks)
    for first in blocks:
        batch = chain(iter([first]), islice(blocks, BLOCKS - 1))
        del first  # held by nobody but who took it from the batch
        yield batch
