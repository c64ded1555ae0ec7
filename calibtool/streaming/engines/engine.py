"""Who runs a pass: threads here, or workers of a cluster. The seam for any engine is `Engine`.

A pass maps every part of a source to sums and adds them up in one tree, whose shape the parts alone
decide: whoever runs it, and wherever it was interrupted, the same numbers are added in the same
order, and the same digits come out, of weighted rows too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.errors import UnreadableError
from calibtool.streaming.engines.tree import Node
from calibtool.streaming.reduce import block_rows
from calibtool.types import silent

BLOCKS = 2  # blocks of predictions that a worker takes at a time


class Task(Protocol):
    """What is made of rows; it can be pickled where workers are other processes."""

    def of(self, blocks: Iterable[Predictions]) -> list[Any]:
        """Sums over blocks, none longer than `block_rows`: what `+` adds to those of others."""


@dataclass(frozen=True, eq=False)
class PartResult:
    """What was found in some parts.

    Attributes:
        sums: what the work made of the rows; empty where there were none.
        bad: files that cannot be read: number, name, reason; nothing of them is in the sums of a
            whole file.
    """

    sums: list[Any] = field(default_factory=list)
    bad: tuple[tuple[int, str, str], ...] = ()


class Engine(Protocol):
    """Maps parts to sums: `of_part` for every part, in any place and order."""

    def run(
        self, work: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """What is found at nodes of the tree, in order, from part number `done` on, each part in
        one node. An engine that leaves all adding to the caller answers with the leaves."""


@dataclass(frozen=True)
class RunOptions:
    """How a pass over a source is run.

    Attributes:
        engine: who maps; None for threads of this process.
        state: a file that keeps how far the pass has come, or None.
        say: told, once, where an interrupted pass goes on.
    """

    engine: Engine | None = None
    state: Path | None = None
    say: Callable[[str], None] = silent


def of_part(work: Task, source: Source, part: Part) -> PartResult:
    """The sums of a part: the map step of every engine."""
    sums: list[Any] = []
    try:
        for batch in batches(source.part_blocks(part, block_rows(source.classes))):
            sums = added(sums, work.of(batch))
    except UnreadableError as error:
        return unreadable(part, error)
    return PartResult(sums)


def unreadable(part: Part, error: UnreadableError) -> PartResult:
    """What is found in a part of a file that cannot be read."""
    return PartResult(bad=((part.number, error.file, error.reason),))


def together(found: Iterable[PartResult], *, whole: bool) -> PartResult:
    """The sums of neighbours in the tree, in their order: the reduce step of every engine. Of a
    whole file that turned out bad, none."""
    total = PartResult()
    for one in found:
        total = joined(total, one)
    return closed(total) if whole else total


def joined(one: PartResult, other: PartResult) -> PartResult:
    """The sums of two neighbours."""
    return PartResult(added(one.sums, other.sums), one.bad + other.bad)


def closed(found: PartResult) -> PartResult:
    """What is found in a whole file: all of it, or nothing."""
    return PartResult(bad=found.bad[:1]) if found.bad else found


def added(whole: list[Any], sums: list[Any]) -> list[Any]:
    """Sums of the same systems, added up."""
    if not whole or not sums:
        return whole or sums
    return [a + b for a, b in zip(whole, sums, strict=True)]


def batches(blocks: Iterable[Predictions]) -> Iterator[list[Predictions]]:
    """Blocks, BLOCKS at a time."""
    held: list[Predictions] = []
    for block in blocks:
        held.append(block)
        if len(held) == BLOCKS:
            yield held
            held = []
    if held:
        yield held
