"""Rows that a fit reads several times: held in memory, or read again from a file for each pass.

A fit asks for sums over all rows. They are added block by block in the order of the rows, so that
the number of threads changes no digit. At most a few blocks of a file are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.fitted import BlockDigest, Digest, block_digest
from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Described
from calibtool.errors import FitError
from calibtool.parallel import cores, ordered
from calibtool.types import Array, Progress, silent

# Values in a block that a worker takes at a time: 2 MB in float64, so that a few blocks per thread
# are little memory, and large enough that the work on one takes far longer than handing it over.
BLOCK = 1 << 18
# A block has at least SQUARE rows per class: adding a block's K x K sums to the total costs as much
# as K rows, which must stay a fraction of the work on the block.
SQUARE = 4
# Values in the sample whose optimum a fit starts from: 16 MB in float32. That optimum is so near
# the one of all rows that three or four passes over the file suffice (benchmarks/fits.py).
SAMPLE = 1 << 22
# Rows in the sample at most: with few classes, more rows no longer bring the start nearer.
SAMPLE_ROWS = 1 << 17
# Files of at least this many parts (row groups, files) are read part by part, each by one worker,
# and the sample is taken from this many parts, spread over the file: enough for the cores of a
# small machine, and for a sample that does not stem from one end of a sorted file.
PARTS = 8


class FitRows(Described, Protocol):
    """Rows to sum over."""

    @property
    def width(self) -> int: ...
    @property
    def wide(self) -> bool: ...
    def sum(self, work: Callable[[Predictions], Array], size: int) -> Array: ...


class MemoryRows:
    """Rows in memory."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self.source, self.kind = predictions.source, predictions.kind
        self.rows, self.width = predictions.values.shape
        self.wide = predictions.values.itemsize == 8

    def sum(self, work: Callable[[Predictions], Array], size: int) -> Array:
        """Return the sum of `work` over blocks of `size` rows."""
        threads = cores() if self.rows > size else 1  # one block is not worth starting a thread
        return add_up(ordered(work, self.predictions.blocks(size), threads))


class FileRows:
    """Rows of a file. The first pass also collects what the record of a fit keeps of them.

    Attributes:
        sample: rows from several places of the file, whose optimum a fit starts from.
        passes: the number of passes begun.
        floor: what a probability of 0 counts as: that of the sample, and after the first pass that
            of all rows.
        zeros: how many probabilities count as it.
        wide: whether values are float64.
    """

    def __init__(self, source: Source, progress: Progress | None = None, about: int = 3) -> None:
        """Read the sample.

        Args:
            source: the file.
            progress: called with the pass and the share of it that is done.
            about: the number of passes that is likely, for progress.

        Raises NotAvailableError for confidences alone or rows without labels.
        """
        self.file = source
        self.source, self.kind = source.source, source.kind
        self.rows, self.width = source.rows_at_most, source.width
        self.classes, self.class_names = source.classes, source.class_names
        self.progress = progress or silent
        self.about = about
        self.passes = 0
        self.zeros = 0
        # With skip_bad_files, `blocks` leaves out a damaged file as a whole; a worker that reads a
        # part of one would already have added rows of it when it meets the damage.
        parts = [] if source.choice.skip_bad_files else source.parts()
        self._parts = parts if len(parts) >= PARTS else []
        self.sample = self._sample()
        self.wide = self.sample.values.itemsize == 8
        self.floor = inputs.floor_of(self.sample)
        self._digest: Digest | None = None

    def sum(self, work: Callable[[Predictions], Array], size: int = 0) -> Array:
        """Return the sum of `work` over the rows that have a weight: one pass over the file.

        The file decides about the blocks; `size` is ignored.
        """
        self.passes += 1
        first_pass = self._digest is None
        digest = Digest(int(self.classes or 0), self.kind)
        stage = f"fitting, pass {self.passes} of about {max(self.passes, self.about)}"

        def sum_share(blocks: Iterator[Predictions]) -> _ShareSum:
            total: Array | None = None
            rows, facts = 0, []
            for block in blocks:
                weighted = with_weight(block)
                rows += block.rows
                if weighted.rows:
                    block_sum = work(weighted)
                    total = block_sum if total is None else total + block_sum
                    facts += [_facts_of(weighted)] if first_pass else []
            return _ShareSum(total, rows, facts)

        total: Array | None = None
        done = 0
        with single_threaded_blas():
            for share in ordered(sum_share, self._shares_of_work(), cores()):
                if share.total is not None:
                    total = share.total if total is None else total + share.total
                for facts in share.facts:
                    self.floor, self.zeros = min(self.floor, facts.floor), self.zeros + facts.zeros
                    digest.add(facts.digest)
                done += share.rows
                self.progress(stage, min(done / self.rows, 1.0))
            self.progress(stage, 1.0)
        if total is None:
            raise FitError(f"{self.source}: the rows to fit on all have a weight of 0")
        if first_pass:
            self._digest = digest
        return total

    def _shares_of_work(self) -> Iterator[Iterator[Predictions]]:
        """Yield the blocks that one worker takes: a part, which it reads itself, or one block."""
        size = max(BLOCK // self.width, SQUARE * self.width, 1)
        if self._parts:
            return (self.file.part_blocks(part, size) for part in self._parts)
        return (iter([block]) for block in self.file.blocks(size))

    @property
    def digest(self) -> Digest:
        """The digest of all rows; known after the first pass."""
        assert self._digest is not None
        return self._digest

    def notes(self) -> list[str]:
        """Return what the record of a fit by passes says of it."""
        passes = f"fitted in {self.passes} passes over the file, which was not held in memory"
        return [passes, *notes_of_skipped(self.file)]

    def _sample(self) -> Predictions:
        """Return up to SAMPLE values: the first rows of PARTS parts, or of the file."""
        inputs.require_whole_rows(self.source, self.classes)
        # at least 64 rows per class, for classes so many that SAMPLE values hold fewer
        rows = min(max(SAMPLE // self.width, 64 * self.width), SAMPLE_ROWS)
        if self._parts:
            every = len(self._parts) / PARTS
            spread = [self._parts[int(k * every)] for k in range(PARTS)]
            blocks = [b for part in spread for b in _first(self.file, part, rows // PARTS)]
        else:
            blocks = list(islice(self.file.blocks(min(rows, self.rows)), 1))
        if blocks:
            inputs.require_labels(blocks[0])
        return joined([with_weight(block) for block in blocks])


class _BlockFacts(NamedTuple):
    """The facts about a block that the record of a fit is made from."""

    floor: float
    zeros: int
    digest: BlockDigest


class _ShareSum(NamedTuple):
    """A worker's result: its sum (None without weighted rows), rows read, facts about blocks."""

    total: Array | None
    rows: int
    facts: list[_BlockFacts]


def notes_of_skipped(source: Source) -> list[str]:
    """Return one note per file that was left out since it cannot be read."""
    return [f"left out, since it cannot be read: {file}: {why}" for file, why in source.skipped]


def single_threaded_blas() -> AbstractContextManager[object]:
    """Keep BLAS to one thread while our own threads work, so that they do not compete for cores.

    Without threadpoolctl this does nothing: it is a matter of speed only, and the command line sets
    OPENBLAS_NUM_THREADS before NumPy is loaded.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


def with_weight(block: Predictions) -> Predictions:
    """Return the rows whose weight is not 0."""
    if block.weights is None or block.weights.all():
        return block
    return block.take(block.weights > 0)


def joined(blocks: list[Predictions]) -> Predictions:
    """Return blocks of one file as one block."""

    def join(arrays: list[Array | None]) -> Array | None:
        known = [array for array in arrays if array is not None]
        return np.concatenate(known) if known else None

    values = np.concatenate([block.values for block in blocks])
    labels, weights = join([b.labels for b in blocks]), join([b.weights for b in blocks])
    correct = join([b.correct for b in blocks])
    joint = replace(blocks[0], values=values, labels=labels, weights=weights, correct=correct)
    extra = {name: np.concatenate([b.extra[name] for b in blocks]) for name in joint.extra}
    return replace(joint, extra=extra)


def add_up(parts: Iterable[Array]) -> Array:
    """Return the sum of one or more arrays, added in their order: threads change no digit."""
    remaining = iter(parts)
    total = next(remaining)
    for part in remaining:
        total = total + part
    return total


def _first(file: Source, part: Part, rows: int) -> Iterator[Predictions]:
    return islice(file.part_blocks(part, max(rows, 1)), 1)


def _facts_of(block: Predictions) -> _BlockFacts:
    return _BlockFacts(inputs.floor_of(block), inputs.floored(block), block_digest(block))
