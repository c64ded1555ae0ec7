"""The default engine: threads of this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calibtool.data.files.reader import Part, give_back
from calibtool.data.files.source import Source
from calibtool.parallel import ordered
from calibtool.streaming.engines.engine import PartResult, Task, of_part
from calibtool.streaming.engines.tree import Node, nodes_from


@dataclass(frozen=True)
class Threads:
    """Threads that take one part each, or share each part if there are fewer parts than threads.

    Attributes:
        threads: their number.
    """

    threads: int = 1

    def run(
        self, task: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """Yield the result of every part by itself."""
        leaves = list(nodes_from(root, done, 1))
        try:
            if len(leaves) < self.threads:
                for leaf in leaves:
                    yield leaf, of_part(task, source, parts[leaf.start], self.threads)
                return
            results = ordered(
                lambda leaf: of_part(task, source, parts[leaf.start]), leaves, self.threads
            )
            yield from zip(leaves, results, strict=True)
        finally:
            give_back()
