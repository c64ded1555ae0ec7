"""Rows that a fit goes over again and again: held in memory, or read anew from a file each time.

A fit asks for sums over all rows. They are added block by block in the order of the rows, so that
threads change no digit; of a file no more than a few blocks are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.fitted import Digest, Parts, parts_of
from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.data.predictions import Kind, Predictions
from calibtool.errors import FitError, NotAvailableError
from calibtool.parallel import cores, ordered
from calibtool.types import Array, silent

BLOCK = 1 << 18  # values that a worker takes at a time, ...
SQUARE = 4  # ... or so many rows a class: sums of K x K numbers are not worth fewer
SAMPLE = 1 << 22  # values that give a fit its start
SAMPLE_ROWS = 1 << 17  # rows of it at the most
PARTS = 8  # from so many parts on, workers read a part each, and the sample is of so many

Progress: TypeAlias = Callable[[str, float], None]


class FitRows(Protocol):
    """Rows to sum over."""

    @property
    def source(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def rows(self) -> int: ...
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
        """The sum of `work` over blocks of `size` rows."""
        return _total(ordered(work, self.predictions.blocks(size), cores()))


class FileRows:
    """Rows of a file. The first pass also finds what the record of a fit keeps of them.

    Attributes:
        sample: rows from several places, as many as give a fit its start.
        passes: how many were begun.
        floor: what a probability of 0 counts as; after the first pass that of all rows.
        zeros: how many probabilities count as it.
    """

    def __init__(self, source: Source, progress: Progress | None = None, about: int = 3) -> None:
        self.file = source
        self.source, self.kind = source.source, source.kind
        self.rows, self.width = source.rows_at_most, source.width
        self.classes, self.class_names = source.classes, source.class_names
        self.progress = progress or silent
        self.about = about
        self.passes = 0
        self.zeros = 0
        # a file that turns out to be damaged is left out whole by `blocks`
        parts = [] if source.choice.skip_bad_files else source.parts()
        self._parts = parts if len(parts) >= PARTS else []
        self.sample = self._sample()
        self.wide = self.sample.values.itemsize == 8
        self.floor = inputs.floor_of(self.sample)
        self._seen: Digest | None = None

    def sum(self, work: Callable[[Predictions], Array], size: int = 0) -> Array:
        """The sum of `work` over the rows that have a weight: one pass, in blocks of its own."""
        self.passes += 1
        first = self._seen is None
        digest = Digest(int(self.classes or 0), self.kind)
        stage = f"fitting, pass {self.passes} of about {max(self.passes, self.about)}"

        def one(blocks: Iterator[Predictions]) -> tuple[Array | None, int, list[_Told]]:
            total: Array | None = None
            rows, told = 0, []
            for block in blocks:
                own = weighted(block)
                rows += block.rows
                if own.rows:
                    part = work(own)
                    total = part if total is None else total + part
                    told += [_tell(own)] if first else []
            return total, rows, told

        total: Array | None = None
        done = 0
        with one_thread_each():
            for part, rows, told in ordered(one, self._turns(), cores()):
                if part is not None:
                    total = part if total is None else total + part
                for each in told:
                    self.floor, self.zeros = min(self.floor, each.floor), self.zeros + each.zeros
                    digest.add(each.parts)
                done += rows
                self.progress(stage, min(done / self.rows, 1.0))
            self.progress(stage, 1.0)
        if total is None:
            raise FitError(f"{self.source}: the rows to fit on all have a weight of 0")
        if first:
            self._seen = digest
        return total

    def _turns(self) -> Iterator[Iterator[Predictions]]:
        """The rows in the turns that workers take: parts, which they read themselves, or blocks."""
        size = max(BLOCK // self.width, SQUARE * self.width, 1)
        if self._parts:
            return (self.file.part_blocks(part, size) for part in self._parts)
        return (iter([block]) for block in self.file.blocks(size))

    @property
    def seen(self) -> Digest:
        """What the first pass has found."""
        assert self._seen is not None
        return self._seen

    def notes(self) -> list[str]:
        """What a user should know of a fit by passes."""
        told = f"fitted in {self.passes} passes over the file, which was not held in memory"
        return [told, *told_of_skipped(self.file)]

    def _sample(self) -> Predictions:
        rows = max(SAMPLE // self.width, 64 * self.width)
        if self.classes is None:
            raise NotAvailableError(
                f"{self.source}: only confidences are known; a calibrator needs whole rows of "
                "logits or probabilities"
            )
        rows = min(rows, SAMPLE_ROWS)
        if self._parts:
            every = len(self._parts) / PARTS
            some = [self._parts[int(k * every)] for k in range(PARTS)]
            read = [block for part in some for block in _first(self.file, part, rows // PARTS)]
        else:
            read = list(islice(self.file.blocks(min(rows, self.rows)), 1))
        if read and read[0].labels is None:
            raise NotAvailableError(f"{self.source}: a fit needs labels")
        return joined([weighted(block) for block in read])


def told_of_skipped(source: Source) -> list[str]:
    """What to tell of files that were left out."""
    return [f"left out, since it cannot be read: {file}: {why}" for file, why in source.skipped]


def one_thread_each() -> AbstractContextManager[object]:
    """BLAS's own threads held back while ours work, where threadpoolctl is installed; the command
    line says so to BLAS itself."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


def weighted(block: Predictions) -> Predictions:
    """The rows that have a weight."""
    if block.weights is None or block.weights.all():
        return block
    return block.take(block.weights > 0)


def joined(blocks: list[Predictions]) -> Predictions:
    """Blocks of one file as one."""

    def whole(arrays: list[Array | None]) -> Array | None:
        known = [array for array in arrays if array is not None]
        return np.concatenate(known) if known else None

    values = np.concatenate([block.values for block in blocks])
    labels, weights = whole([b.labels for b in blocks]), whole([b.weights for b in blocks])
    return replace(blocks[0], values=values, labels=labels, weights=weights, extra={})


def _first(file: Source, part: Part, rows: int) -> Iterator[Predictions]:
    return islice(file.part_blocks(part, max(rows, 1)), 1)


class _Told(NamedTuple):
    floor: float
    zeros: int
    parts: Parts


def _tell(block: Predictions) -> _Told:
    return _Told(inputs.floor_of(block), inputs.floored(block), parts_of(block))


def _total(parts: Iterator[Array]) -> Array:
    total = next(parts)
    for part in parts:
        total = total + part
    return total
