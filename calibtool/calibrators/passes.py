"""Rows that a fit goes over again and again: held in memory, or read anew from a file each time.

A fit asks for sums over all rows. They are added block by block in the order of the rows, so that
threads change no digit; of a file no more than a few blocks are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from calibtool.calibrators import inputs
from calibtool.calibrators.fitted import Digest, Parts, parts_of
from calibtool.checks import Array
from calibtool.errors import FitError, NotAvailableError
from calibtool.files.source import Source
from calibtool.predictions import Kind, Predictions
from calibtool.threads import cores, ordered

BLOCK = 1 << 21  # values that are read at a time
SAMPLE = 1 << 22  # values that give a fit its start
SAMPLE_ROWS = 1 << 17  # rows of it at the most

Progress: TypeAlias = Callable[[str, float], None]


class Rows(Protocol):
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


class Held:
    """Rows in memory."""

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions
        self.source, self.kind = predictions.source, predictions.kind
        self.rows, self.width = predictions.values.shape
        self.wide = predictions.values.itemsize == 8

    def sum(self, work: Callable[[Predictions], Array], size: int) -> Array:
        """The sum of `work` over blocks of `size` rows."""
        return _total(ordered(work, self.predictions.blocks(size), cores()))


class Read:
    """Rows of a file. The first pass also finds what the record of a fit keeps of them.

    Attributes:
        sample: the first rows, as many as give a fit its start.
        passes: how many were begun.
        floor: what a probability of 0 counts as; after the first pass that of all rows.
        zeros: how many probabilities count as it.
    """

    def __init__(self, source: Source, progress: Progress | None = None, about: int = 3) -> None:
        self.file = source
        self.source, self.kind = source.source, source.kind
        self.rows, self.width = source.rows, source.width
        self.classes, self.class_names = source.classes, source.class_names
        self.progress = progress or _silent
        self.about = about
        self.passes = 0
        self.zeros = 0
        self.sample = self._sample()
        self.wide = self.sample.values.itemsize == 8
        self.floor = inputs.floor_of(self.sample)
        self._seen: Digest | None = None

    def sum(self, work: Callable[[Predictions], Array], size: int = 0) -> Array:
        """The sum of `work` over the rows that have a weight: one pass."""
        self.passes += 1
        first = self._seen is None
        digest = Digest(int(self.classes or 0), self.kind)
        stage = f"Fitting, pass {self.passes} of about {max(self.passes, self.about)}"

        def one(block: Predictions) -> tuple[Array | None, int, _Told | None]:
            own = weighted(block)
            told = _tell(own) if first and own.rows else None
            return (work(own) if own.rows else None), block.rows, told

        total: Array | None = None
        done = 0
        blocks = self.file.blocks(size or max(1, BLOCK // self.width))
        for part, rows, told in ordered(one, blocks, cores()):
            if part is not None:
                total = part if total is None else total + part
            if told is not None:
                self.floor, self.zeros = min(self.floor, told.floor), self.zeros + told.zeros
                digest.add(told.parts)
            done += rows
            self.progress(stage, done / self.rows)
        if total is None:
            raise FitError(f"{self.source}: the rows to fit on all have a weight of 0")
        if first:
            self._seen = digest
        return total

    @property
    def seen(self) -> Digest:
        """What the first pass has found."""
        assert self._seen is not None
        return self._seen

    def notes(self) -> list[str]:
        """What a user should know of a fit by passes."""
        return [f"fitted in {self.passes} passes over the file, which was not held in memory"]

    def _sample(self) -> Predictions:
        rows = max(SAMPLE // self.width, 64 * self.width)
        if self.classes is None:
            raise NotAvailableError(
                f"{self.source}: only confidences are known; a calibrator needs whole rows of "
                "logits or probabilities"
            )
        first = next(self.file.blocks(min(rows, SAMPLE_ROWS)))
        if first.labels is None:
            raise NotAvailableError(f"{self.source}: a fit needs labels")
        return weighted(first)


def weighted(block: Predictions) -> Predictions:
    """The rows that have a weight."""
    if block.weights is None or block.weights.all():
        return block
    return block.take(block.weights > 0)


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


def _silent(stage: str, share: float) -> None:
    pass
