"""The part of a pass that runs on a worker of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.errors import ClusterError, InputError
from calibtool.streaming import compiled
from calibtool.streaming.engines.engine import PartResult, Task, combine, of_part
from calibtool.streaming.engines.tree import Node
from calibtool.version import __version__

Job = tuple[Task, Source]

VISIBLE = "every worker has to see the files under the same names: a shared folder, or s3://"


def pack(task: Task, source: Source) -> tuple[str, bytes]:
    """Return task and source as bytes for other processes, and the version that packed them."""
    from distributed.protocol.pickle import dumps

    # the engine holds a connection, which stays here
    return __version__, dumps((task, replace(source, run=None)))


def unpack(package: tuple[str, bytes]) -> Job:
    """Return task and source on the worker. Every worker does this once, not once per part.

    Raises ClusterError if the worker has another version or does not see the files.
    """
    from distributed.protocol.pickle import loads

    version, data = package
    if version != __version__:
        raise ClusterError(
            f"worker {worker_address()} has calibtool {__version__}, the command has {version}; "
            "install the same on both"
        )
    try:
        return loads(data)
    except InputError as error:
        raise ClusterError(f"worker {worker_address()}: {error}; {VISIBLE}") from error


def map_node(job: Job, node: Node, parts: Sequence[Part]) -> PartResult:
    """Return the sum over the parts of a node, added in the order of the tree: the map step.

    How many rows will come to this worker it cannot know: those that have come decide whether
    compiled loops pay.
    """
    compiled.expect(sum(part.rows for part in parts))

    def result_at(child: Node) -> PartResult:
        if child.children:
            return combine([result_at(below) for below in child.children], whole=child.whole)
        return _map_part(job, parts[child.start - node.start])

    return result_at(node)


def _map_part(job: Job, part: Part) -> PartResult:
    task, source = job
    result = of_part(task, source, part)
    if result.bad:
        _require_visible(source, part)
    return result


def _require_visible(source: Source, part: Part) -> None:
    """Check that a file that cannot be read exists here.

    A worker without the shared folder would otherwise report all files as bad, and with
    --skip-bad-files they would be left out. Raises ClusterError.
    """
    path = source.table.path_of(part)
    if path is not None and not Path(path).exists():
        raise ClusterError(f"worker {worker_address()} does not see {path}; {VISIBLE}")


def worker_address() -> str:
    """Return the address of this worker; "here" outside of one."""
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:
        return "here"
