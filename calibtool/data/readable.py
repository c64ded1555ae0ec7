"""What can be measured, and what is done to its rows first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from calibtool.data.predictions import Kind, Predictions

Apply = Callable[[Predictions], Predictions]


class Recalibrator(Protocol):
    """What `evaluate` needs of a calibrator."""

    def __call__(self, predictions: Predictions) -> Predictions: ...

    def describe(self) -> str: ...


class Readable(Protocol):
    """Predictions in memory, or a source that reads them in blocks."""

    @property
    def source(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def rows(self) -> int: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def one_column(self) -> bool: ...
    def blocks(self, rows: int) -> Iterator[Predictions]: ...
    def load(self) -> Predictions: ...


def unchanged(block: Predictions) -> Predictions:
    """The system that is measured where nothing is applied."""
    return block


@dataclass(frozen=True, eq=False)
class Variant:
    """What is made of every block of predictions before it is measured, and what to call it."""

    apply: Apply = unchanged
    title: str = ""

    @staticmethod
    def of(calibrator: Recalibrator) -> Variant:
        """What a calibrator makes of them."""
        return Variant(calibrator, calibrator.describe())
