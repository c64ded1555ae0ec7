"""The engine of a Dask data frame: partitions are mapped and added where Dask computes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from calibtool.data.files.frame import FrameTable
from calibtool.data.files.reader import Part
from calibtool.data.files.roles import Choice, resolve
from calibtool.data.files.source import Source
from calibtool.errors import UsageError
from calibtool.streaming import compiled
from calibtool.streaming.engines.engine import PartResult, RunOptions, Task, combine, of_part
from calibtool.streaming.engines.tree import Node
from calibtool.streaming.engines.worker import Job


@dataclass(frozen=True)
class Frames:
    """Dask's own scheduler: that of the current client, or threads here if there is none."""

    def run(
        self, task: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """Yield the result at the root alone: partitions may share what they are computed from,
        which would be computed again for every request."""
        import dask

        assert isinstance(source.table, FrameTable)
        bare = replace(source, table=source.table.bare(), run=None)
        job = dask.delayed((task, bare), traverse=False)
        mapped, combined = dask.delayed(_map, pure=False), dask.delayed(combine, pure=False)

        def promise(node: Node) -> Any:
            if not node.children:
                part = parts[node.start]
                # the partition is an argument of its own, so that Dask sees it and computes it
                return mapped(job, replace(part, content=None), part.content)
            return combined([promise(child) for child in node.children], whole=node.whole)

        (result,) = dask.compute(promise(root))
        yield root, result


def _map(job: Job, part: Part, partition: Any) -> PartResult:
    """Return the sums over a computed partition: the map step."""
    task, source = job
    compiled.expect(part.rows)
    return of_part(task, source, replace(part, content=partition))


def from_dask(frame: Any, **keys: Any) -> Source:
    """Return a Dask data frame as a source, for `ct.evaluate`, `ct.cells` and `ct.evaluate_by`.

    Args:
        frame: dask.dataframe.DataFrame. Partitions are computed where its scheduler is: on the
            cluster of the current `distributed.Client`, or in threads here.
        keys: which column has which role, as for `ct.load`: `logits`, `probs`, `score`, `labels`,
            `confidence`, `correct`, `predictions`, `weights`, `classes`, `renormalize`. By default,
            names decide, as in files.

    Raises InputError, UsageError.
    """
    try:
        choice = Choice(**keys)
    except TypeError as error:
        raise UsageError(f"from_dask: {error}") from error
    if choice.filter or choice.skip_bad_files or choice.labels_file:
        raise UsageError(
            "from_dask: filter, skip_bad_files and labels_file are for files; filter the data frame"
        )
    table = FrameTable.of(frame, "Dask data frame")
    return Source(table, resolve(table, choice), choice, run=RunOptions(Frames()))
