"""The engine that needs nothing: threads of this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.errors import UnreadableError
from calibtool.parallel import ordered
from calibtool.streaming.engines.engine import PartResult, Task, added, batches, of_part, unreadable
from calibtool.streaming.engines.tree import Node, nodes_from
from calibtool.streaming.reduce import block_rows


@dataclass(frozen=True)
class Threads:
    """So many threads; each takes a part, or, where parts are fewer, they share each."""

    threads: int = 1

    def run(
        self, work: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """Every part by itself."""
        leaves = list(nodes_from(root, done, 1))
        if len(leaves) < self.threads:
            for leaf in leaves:
                yield leaf, self._shared(work, source, parts[leaf.start])
            return
        found = ordered(lambda leaf: of_part(work, source, parts[leaf.start]), leaves, self.threads)
        yield from zip(leaves, found, strict=True)

    def _shared(self, work: Task, source: Source, part: Part) -> PartResult:
        """As `of_part`, by all threads."""
        sums: list[Any] = []
        try:
            blocks = source.part_blocks(part, block_rows(source.classes))
            for more in ordered(work.of, batches(blocks), self.threads):
                sums = added(sums, more)
        except UnreadableError as error:
            return unreadable(part, error)
        return PartResult(sums)
