"""Fold: the sums over the parts of a pass so far, added in the order of the tree."""

from __future__ import annotations

from collections.abc import Mapping

from calibtool.streaming.engines.engine import PartResult
from calibtool.streaming.engines.tree import Node, path_to


class Fold:
    """Adds the results of neighbouring nodes, one after the other, in the order of the tree.

    Attributes:
        root: the tree of all parts.
        pending: for each level of the tree (0 is the root's), the sum over the nodes of that level
            whose parent is not complete. This is all that a pass has to remember: one sum per
            level, however many parts there are.
        done: the number of parts that have been added.
    """

    def __init__(
        self, root: Node, pending: Mapping[int, PartResult] | None = None, done: int = 0
    ) -> None:
        self.root, self.pending, self.done = root, dict(pending or {}), done

    def add(self, node: Node, result: PartResult) -> None:
        """Add the result at the next node in order."""
        above = path_to(self.root, node)
        self.done = node.stop
        result = result.of_whole_file() if node.whole else result
        # climb as long as this result completes its parent
        for depth in reversed(range(len(above))):
            before = self.pending.pop(depth + 1, PartResult())
            result = before + result
            if above[depth].stop > self.done:
                self.pending[depth + 1] = result
                return
            result = result.of_whole_file() if above[depth].whole else result
        self.pending[0] = result

    @property
    def total(self) -> PartResult:
        """The sum over all parts, once all have been added."""
        return self.pending.get(0, PartResult())
