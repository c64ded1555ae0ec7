"""The engine of a Dask data frame: its partitions, mapped and added up where Dask computes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from calibtool.data.files.frame import FrameTable
from calibtool.data.files.reader import Part
from calibtool.data.files.roles import Choice, resolve
from calibtool.data.files.source import Source
from calibtool.errors import UsageError
from calibtool.streaming.engines.engine import PartResult, RunOptions, Task, of_part
from calibtool.streaming.engines.tree import Node
from calibtool.streaming.engines.worker import reduce_found


@dataclass(frozen=True)
class Frames:
    """Dask's own scheduler: that of the current client, or threads here where there is none."""

    def run(
        self, work: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """All at once: partitions may share what they are computed from."""
        import dask

        assert isinstance(source.table, FrameTable)
        bare = replace(source, table=source.table.bare(), run=None)
        held = dask.delayed((work, bare), traverse=False)
        leaf, reduced = dask.delayed(_map, pure=False), dask.delayed(reduce_found, pure=False)

        def promise(node: Node) -> Any:
            if not node.children:
                part = parts[node.start]
                return leaf(held, replace(part, what=None), part.what)
            return reduced([promise(child) for child in node.children], whole=node.whole)

        (found,) = dask.compute(promise(root))
        yield root, found


def _map(held: tuple[Task, Source], part: Part, partition: Any) -> PartResult:
    """The map step of a computed partition."""
    work, source = held
    return of_part(work, source, replace(part, what=partition))


def from_dask(frame: Any, **keys: Any) -> Source:
    """A Dask data frame as a source: `ct.evaluate`, `ct.cells` and `ct.evaluate_by` take it.

    Args:
        frame: dask.dataframe.DataFrame. Partitions are computed where its scheduler is: on the
            cluster of the current `distributed.Client`, or in threads here.
        keys: which column plays which part, as for `ct.load`: `logits`, `probs`, `score`,
            `labels`, `confidence`, `correct`, `predictions`, `weights`, `classes`, `renormalize`.
            Without, names decide, as in files.

    Raises InputError, UsageError.
    """
    try:
        choice = Choice(**keys)
    except TypeError as error:
        raise UsageError(f"from_dask: {error}") from error
    if choice.filter or choice.skip_bad_files or choice.labels_file:
        raise UsageError(
            "from_dask: filter, skip_bad_files and labels_file are of files; filter the data frame"
        )
    table = FrameTable.of(frame, "Dask data frame")
    return Source(table, resolve(table, choice), choice, run=RunOptions(Frames()))


def as_source(predictions: Any) -> Any:
    """A Dask data frame as a source; anything else as it is."""
    package = type(predictions).__module__.partition(".")[0]
    return from_dask(predictions) if package in ("dask", "dask_expr") else predictions
