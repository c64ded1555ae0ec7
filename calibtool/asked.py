"""What was asked for, settled before anything is read: metrics, views, how intervals are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from calibtool import intervals
from calibtool.collect import Apply, unchanged
from calibtool.draws import Draws
from calibtool.errors import UsageError
from calibtool.measure import Progress, Settings
from calibtool.predictions import Kind, Predictions
from calibtool.spec import Spec

MAX_DRAWS = 1 << 30  # bytes of replicates that a metric may take
FEW_ROWS = 10  # below, no interval is given


class Calibrator(Protocol):
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


@dataclass(frozen=True, eq=False)
class System:
    """What is made of every block of predictions before it is measured, and what to call it."""

    apply: Apply = unchanged
    title: str = ""

    @staticmethod
    def of(calibrator: Calibrator) -> System:
        """What a calibrator makes of them."""
        return System(calibrator, calibrator.describe())


def settings_of(ci: str, draws: Draws, level: float, threads: int, progress: Progress) -> Settings:
    """How intervals are made, if they can be."""
    if ci not in intervals.METHODS:
        raise UsageError(f"--ci {ci!r}: there are {', '.join(intervals.METHODS)}")
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level:g}")
    if ci != "none" and draws.replicates < 20:
        raise UsageError(
            f"--resamples must be at least 20, not {draws.replicates}; --ci none for none"
        )
    if draws.seed < 0:
        raise UsageError(f"--seed must not be negative, not {draws.seed}")
    none = ci == "none" or draws.rows < FEW_ROWS
    return Settings(ci, None if none else draws, level, threads, progress)


def silent(stage: str, share: float) -> None:
    """Progress that nobody watches."""


def settle(spec: Spec, predictions: Readable) -> Spec:
    """The spec with its automatic view decided by the shape of the data, never by their values."""
    if spec.view == "positive" and predictions.classes not in (2, None):
        raise UsageError(
            f"{predictions.source}: {spec.name}: the positive view needs two classes, there are "
            f"{predictions.classes}"
        )
    if spec.view == "ranks":
        return replace(spec, view="positive" if predictions.classes in (2, None) else "class")
    if spec.view != "auto":
        return spec
    return replace(spec, view="positive" if predictions.one_column else "top")


def require_memory(specs: Sequence[Spec], predictions: Readable, draws: Draws) -> None:
    """Whether the replicates of every metric fit in memory."""
    for spec in specs:
        many = spec.view in ("class", "label")
        classes = (predictions.classes or 0) if many else 1
        cells = spec.options.get("bins", 1) * classes
        if cells * draws.replicates * 8 > MAX_DRAWS:
            fits = MAX_DRAWS // (cells * 8)
            raise UsageError(
                f"{spec.name}: {draws.replicates:,} resamples of {cells:,} bins do not fit in "
                f"memory; ask for --resamples {fits:,} or fewer, or for fewer bins"
            )


def main_view(specs: Sequence[Spec], predictions: Readable) -> str:
    """The view that the reading speaks of: that of the first calibration error with scores."""
    own = "positive" if predictions.one_column else "top"
    if predictions.classes is None:
        return own
    return next((spec.view for spec in specs if spec.view in ("top", "positive")), own)
