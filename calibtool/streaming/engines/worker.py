"""What runs on a worker of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.errors import ClusterError, InputError
from calibtool.streaming.engines.engine import PartResult, Task, of_part, together
from calibtool.streaming.engines.tree import Node
from calibtool.version import __version__

Held = tuple[Task, Source]


def packed(work: Task, source: Source) -> tuple[str, bytes]:
    """The work and the source for other processes, and the version that packed them."""
    from distributed.protocol.pickle import dumps

    return __version__, dumps((work, replace(source, run=None)))


def kept_here(package: tuple[str, bytes]) -> Held:
    """The work and the source, once a worker."""
    from distributed.protocol.pickle import loads

    version, data = package
    if version != __version__:
        raise ClusterError(
            f"worker {here()} has calibtool {__version__}, the command has {version}; install the "
            "same on both"
        )
    try:
        return loads(data)
    except InputError as error:
        raise ClusterError(f"worker {here()}: {error}; {VISIBLE}") from error


VISIBLE = "every worker has to see the files under the same names: a shared folder, or s3://"


def map_node(held: Held, node: Node, parts: Sequence[Part]) -> PartResult:
    """The map step: the parts of a node, added up as the tree says."""

    def found(at: Node) -> PartResult:
        if at.children:
            return together([found(child) for child in at.children], whole=at.whole)
        return _map(held, parts[at.start - node.start])

    return found(node)


def _map(held: Held, part: Part) -> PartResult:
    work, source = held
    found = of_part(work, source, part)
    if found.bad:
        _require_visible(source, part)
    return found


def reduce_found(found: list[PartResult], *, whole: bool) -> PartResult:
    """The reduce step."""
    return together(found, whole=whole)


def _require_visible(source: Source, part: Part) -> None:
    """Whether a file that cannot be read is there at all: it may be the worker that lacks it."""
    path = source.table.path_of(part)
    if path is not None and not Path(path).exists():
        raise ClusterError(f"worker {here()} does not see {path}; {VISIBLE}")


def here() -> str:
    """The address of the worker."""
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:
        return "here"
