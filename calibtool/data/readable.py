"""What can be measured or fitted to, and what is done to its rows first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from calibtool.data.predictions import Kind, Predictions

Apply = Callable[[Predictions], Predictions]


class Described(Protocol):
    """Predictions in any form, or the rows of a fit: what to call them, and what they are."""

    @property
    def source(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def rows(self) -> int: ...


class Readable(Described, Protocol):
    """Predictions in memory, a source that reads them in blocks, or a summary of them.

    `blocks(rows)` yields the predictions `rows` rows at a time, in order; `load()` returns all of
    them at once. Both raise InputError for a summary, which holds no rows.
    """

    @property
    def classes(self) -> int | None: ...
    @property
    def one_column(self) -> bool: ...
    def blocks(self, rows: int) -> Iterator[Predictions]: ...
    def load(self) -> Predictions: ...


class Recalibrator(Protocol):
    """A fitted calibrator, as far as an evaluation needs it: predictions in, predictions out, and
    a title for reports."""

    def __call__(self, predictions: Predictions) -> Predictions: ...

    def describe(self) -> str: ...


def unchanged(block: Predictions) -> Predictions:
    """Return the block itself: the variant that is measured when nothing is applied."""
    return block


@dataclass(frozen=True, eq=False)
class Variant:
    """What is applied to every block of predictions before it is measured, and its title.

    Resume files (`--state`) identify `apply` by its `__qualname__`, so `unchanged` must keep its
    name.
    """

    apply: Apply = unchanged
    title: str = ""

    @staticmethod
    def of(calibrator: Recalibrator) -> Variant:
        """Return the variant that a calibrator makes of the predictions."""
        return Variant(calibrator, calibrator.describe())


def variants_of(calibrator: Recalibrator | None) -> list[Variant]:
    """Return the variants of a report: the rows unchanged and, if given, calibrated."""
    return [Variant()] if calibrator is None else [Variant(), Variant.of(calibrator)]
