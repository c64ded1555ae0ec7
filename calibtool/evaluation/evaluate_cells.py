"""Streaming: rows of any number to a state, in one pass, and a state to numbers.

A worker reads a part and reduces it; states are added in the order of the files. Nothing is held
but states and the blocks under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable, Variant
from calibtool.errors import UsageError
from calibtool.evaluation.from_cells import CellProblems, measure_cells, resolution
from calibtool.evaluation.measurement import Settings
from calibtool.evaluation.resampling import FEW_ROWS
from calibtool.evaluation.results import KEPT, Results
from calibtool.metrics.cells import Cells
from calibtool.metrics.spec import Spec, main_view
from calibtool.streaming.grid import named
from calibtool.streaming.layout import layout_for
from calibtool.streaming.passes import summarize
from calibtool.streaming.summary import DataShape, Summary
from calibtool.types import Array

LAST_DIGIT = 5e-5  # of what tables show


# ------------------------------------------------------------------ numbers from states
@dataclass(frozen=True, eq=False)
class CellResults(Results):
    """What was measured of the states of several systems.

    Attributes:
        states: what was kept of each system.
    """

    states: tuple[Summary, ...] = ()

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that could not be read and were left out, with the reason."""
        return self.states[0].skipped

    def panels(self, system: int = 0, view: str = "") -> CellProblems:
        """The panels of a system's scores, in `view` unless another is named."""
        return CellProblems(self.states[system], view or self.view)

    def binned(self, system: int, edges: Array) -> tuple[Cells, Array]:
        """A system's scores in `view` in bins by upper edges, and the sum of the squared weights
        in each."""
        state = self.states[system]
        squares = state.squares(self.view)
        pooled = Cells(state.ends(self.view), squares, squares, squares).pool(edges)
        return state.cells(self.view).pool(edges), pooled.n

    def means(self, system: int = 0) -> tuple[float, float]:
        """Mean score and mean outcome of a system."""
        cells = self.states[system].cells(self.view)
        return float(cells.p.sum() / cells.total), float(cells.y.sum() / cells.total)

    def warnings(self) -> Iterator[str]:
        """What the reader should know about the data, and how precise cells are."""
        yield from _warnings(self)


def evaluate_cells(
    predictions: Readable,
    specs: Sequence[Spec],
    systems: Sequence[Variant],
    settings: Settings,
    *,
    bias: bool = True,
) -> CellResults:
    """Measure systems by their states, from one pass over the rows, or from a state.

    Args:
        predictions: rows, or a `Summary`, to which no system can be applied any more.
        specs: of settled views.
        systems: what to make of the rows before they are measured.
        settings: how intervals are made.
        bias: whether mean score minus mean outcome is wanted.

    Raises InputError, UsageError.
    """
    settings = replace(settings, of_cells=True)
    view = main_view(specs, predictions)
    if isinstance(predictions, Summary):
        if len(systems) > 1 or systems[0].title:
            raise UsageError(
                f"{predictions.source}: holds cells, to which no calibrator can be applied any "
                "more; make cells of its output (`calibtool apply`)"
            )
        states = [predictions]
    else:
        keep = layout_for(
            specs, DataShape(predictions.kind, predictions.classes, predictions.one_column)
        )
        keep = replace(keep, views=tuple(sorted({*keep.views, view})))
        states = summarize(
            predictions,
            replace(keep, edges=tuple(sorted({*keep.edges, *named(KEPT)}))),
            [system.apply for system in systems],
            threads=settings.threads,
            progress=settings.progress,
        )
    if states[0].rows < FEW_ROWS:  # fewer than the files' own records let expect
        settings = replace(settings, draws=None)
    measured, mean = measure_cells(specs, states, settings, view if bias else None)
    first = states[0]
    data = DataInfo(
        first.source,
        first.rows,
        first.classes,
        first.kind,
        first.weighted,
        getattr(predictions, "filter", ""),
    )
    return CellResults(
        tuple(specs),
        tuple(systems),
        tuple(tuple(row) for row in measured),
        settings,
        data,
        view,
        mean,
        tuple(states),
    )


def _warnings(found: CellResults) -> Iterator[str]:
    first = found.states[0]
    if first.rows < FEW_ROWS and found.settings.resampling.ci != "none":
        yield f"{first.rows} rows are too few for intervals; {FEW_ROWS} are the least"
    for state, which in zip(found.states, ("", " after the calibrator"), strict=False):
        lost = state.sums.get("infinite/nll")
        if lost is not None and lost.high[0] > 0:
            yield (
                f"{int(lost.high[0]):,} rows give their label a probability of 0{which}: their NLL "
                "is infinite, and so is the mean"
            )
    rough = []
    for spec, measured in zip(found.specs, found.measured[0], strict=True):
        within = 0.0 if measured.value is None else resolution(spec, first, measured.value)
        if within > LAST_DIGIT:
            rough.append(f"{spec.name} (within {within:.1g})")
    if rough:
        yield (
            f"from a grid of cells, which leaves open the last digits of {', '.join(rough)}: that "
            "is how much they move when cells are twice as wide"
        )
