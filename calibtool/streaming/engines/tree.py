"""The tree in which parts are added: parts to files, files to all, WIDTH at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from calibtool.data.files.reader import Part

# Most children of a node. It decides in which order rounded (weighted) sums are added: another
# width gives other last digits, and old checkpoint files, which hold one sum per level, would be
# resumed wrongly. On a cluster, a task adds up to WIDTH results: wider nodes need more memory per
# task, narrower ones more tasks.
WIDTH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A node of the tree: some neighbouring parts.

    Attributes:
        start: the number of its first part.
        stop: the number after its last one.
        whole: whether these are all parts of one file.
        children: the nodes whose sum it is; () for a single part.
    """

    start: int
    stop: int
    whole: bool = False
    children: tuple[Node, ...] = ()


def tree(parts: Sequence[Part]) -> Node:
    """Return the tree of parts. Files are nodes, so that a bad one can be left out whole.

    >>> root = tree([Part("a", 0, 0, 9), Part("b", 1, 0, 9), Part("b", 1, 9, 9)])
    >>> [(node.start, node.stop, node.whole) for node in root.children]
    [(0, 1, True), (1, 3, True)]
    """
    files = []
    for _, group in groupby(enumerate(parts), lambda pair: pair[1].number):
        numbers = [number for number, _ in group]
        if len(numbers) == 1:
            files.append(Node(numbers[0], numbers[0] + 1, whole=True))
        else:
            files.append(_above([Node(n, n + 1) for n in numbers], whole=True))
    return _above(files) if len(files) > 1 else files[0]


def _above(nodes: Sequence[Node], *, whole: bool = False) -> Node:
    """Return the node above these, with levels in between until none has more than WIDTH."""
    while len(nodes) > WIDTH:
        nodes = [
            _parent(nodes[k : k + WIDTH]) if k + 1 < len(nodes) else nodes[k]
            for k in range(0, len(nodes), WIDTH)
        ]
    return _parent(nodes, whole=whole)


def _parent(nodes: Sequence[Node], *, whole: bool = False) -> Node:
    return Node(nodes[0].start, nodes[-1].stop, whole, tuple(nodes))


def levels_held(root: Node, done: int) -> set[int]:
    """Return the levels (0 is the root's) of the sums that hold the first `done` parts.

    >>> root = tree([Part("a", 0, k, 1) for k in range(20)])
    >>> levels_held(root, 7), levels_held(root, 8), levels_held(root, 9), levels_held(root, 20)
    ({2}, {1}, {1, 2}, {0})
    """
    if done == root.stop:
        return {0}
    held, node, depth = set(), root, 0
    while node.start < done:
        depth += 1
        below = next(child for child in node.children if child.start <= done < child.stop)
        held |= {depth} if below.start > node.start else set()
        node = below
    return held


def nodes_from(root: Node, done: int, most: int) -> Iterator[Node]:
    """Yield the largest nodes of at most `most` parts that hold the parts from number `done` on.

    >>> root = tree([Part("a", 0, k, 1) for k in range(20)])
    >>> [(node.start, node.stop) for node in nodes_from(root, 7, 8)]
    [(7, 8), (8, 16), (16, 20)]
    """
    if root.stop <= done:
        return
    if root.start >= done and root.stop - root.start <= max(most, 1):
        yield root
        return
    for child in root.children:
        yield from nodes_from(child, done, most)


def path_to(root: Node, node: Node) -> list[Node]:
    """Return the nodes above `node`, from the root down."""
    path, above = [], root
    while (above.start, above.stop) != (node.start, node.stop):
        path.append(above)
        above = next(child for child in above.children if child.start <= node.start < child.stop)
    return path
