"""A pass: the tree of the parts, an engine that maps them, what is found added up and kept."""

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


def run(source: Source, work: Task, threads: int, tick: Progress) -> PartResult:
    """What is found in all parts. A file whose end cannot be read is left out whole, where the
    user said so, and an error elsewhere."""
    how = source.run or RunOptions()
    parts = source.parts()
    if not parts:
        return PartResult()
    engine: Engine = how.engine or Threads(threads)
    ends = [0, *accumulate(part.rows for part in parts)]
    total = max(ends[-1], 1)
    fold = Fold(tree(parts))
    keeper = Checkpoint(how, source, work, parts)
    keeper.resume(fold, lambda done: ends[done] / total)
    try:
        for node, found in engine.run(work, source, parts, fold.root, fold.done):
            if found.bad and not source.choice.skip_bad_files:
                _, file, reason = found.bad[0]
                raise UnreadableError(file, reason)
            fold.add(node, found)
            tick("reading", ends[fold.done] / total)
            keeper.keep(fold)
    finally:
        keeper.close(fold)
    left = [Skipped(file, reason) for _, file, reason in fold.total.bad]
    source.table.skipped.extend(one for one in left if one not in source.table.skipped)
    return fold.total
