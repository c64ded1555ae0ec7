"""What has been found so far, added up in the tree, part after part."""

from __future__ import annotations

from collections.abc import Mapping

from calibtool.streaming.engines.engine import PartResult, closed, joined
from calibtool.streaming.engines.tree import Node, path_to


class Fold:
    """A sum a level of the tree, and how many parts are in: all that a pass has to remember."""

    def __init__(
        self, root: Node, held: Mapping[int, PartResult] | None = None, done: int = 0
    ) -> None:
        self.root, self.held, self.done = root, dict(held or {}), done

    def add(self, node: Node, found: PartResult) -> None:
        """What was found at a node, the next in order."""
        above = path_to(self.root, node)
        self.done = node.stop
        found = closed(found) if node.whole else found
        for depth in reversed(range(len(above))):
            before = self.held.pop(depth + 1, PartResult())
            found = joined(before, found)
            if above[depth].stop > self.done:
                self.held[depth + 1] = found
                return
            found = closed(found) if above[depth].whole else found
        self.held[0] = found

    @property
    def total(self) -> PartResult:
        """All that was found, at the end."""
        return self.held.get(0, PartResult())
