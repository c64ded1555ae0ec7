"""A pass: an engine maps the parts of a source, and their sums are added in a tree."""

from __future__ import annotations

from itertools import accumulate

from calibtool.data.files.reader import Skipped
from calibtool.data.files.source import Source
from calibtool.errors import UnreadableError
from calibtool.streaming.engines.checkpoint import Checkpoint
from calibtool.streaming.engines.engine import Engine, PartResult, RunOptions, Task
from calibtool.streaming.engines.fold import Fold
from calibtool.streaming.engines.threads import Threads
from calibtool.streaming.engines.tree import tree
from calibtool.types import Progress


def run(source: Source, task: Task, threads: int, tick: Progress) -> PartResult:
    """Return the sum over all parts of a source.

    A file that cannot be read to its end is left out whole if the user allows it
    (--skip-bad-files). Raises UnreadableError otherwise, InputError for a checkpoint of another
    pass.
    """
    options = source.run or RunOptions()
    parts = source.parts()
    if not parts:
        return PartResult()
    engine: Engine = options.engine or Threads(threads)
    ends = [0, *accumulate(part.rows for part in parts)]
    total = max(ends[-1], 1)
    fold = Fold(tree(parts))
    checkpoint = Checkpoint(options, source, task, parts)
    checkpoint.resume(fold, lambda done: ends[done] / total)
    try:
        for node, result in engine.run(task, source, parts, fold.root, fold.done):
            if result.bad and not source.choice.skip_bad_files:
                _, file, reason = result.bad[0]
                raise UnreadableError(file, reason)
            fold.add(node, result)
            tick("reading", ends[fold.done] / total)
            checkpoint.write_if_due(fold)
    finally:
        checkpoint.close(fold)
    skipped = [Skipped(file, reason) for _, file, reason in fold.total.bad]
    source.table.skipped.extend(file for file in skipped if file not in source.table.skipped)
    return fold.total
