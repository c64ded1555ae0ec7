"""Evaluate from summaries: one pass over rows of any number, or none where a summary is given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from calibtool.data.clusters import FEWEST
from calibtool.data.files.source import Source
from calibtool.data.predictions import DataInfo
from calibtool.data.unit import unit_text
from calibtool.errors import InputError, UsageError
from calibtool.evaluation import costs
from calibtool.evaluation.cell_problems import CellProblems
from calibtool.evaluation.cell_scores import kept
from calibtool.evaluation.from_cells import measure_cells, resolution
from calibtool.evaluation.from_units import UnitIntervals, draws_of_units
from calibtool.evaluation.measurement import Settings
from calibtool.evaluation.notices import (
    NO_WEIGHT,
    infinite_nll,
    nlls,
    too_few_rows,
    without_interval,
)
from calibtool.evaluation.pairs import SHARES
from calibtool.evaluation.request import UNIT_ROWS, Request, too_few_units
from calibtool.evaluation.resampling import FEW_ROWS
from calibtool.evaluation.results import KEPT, Results
from calibtool.intervals.difference import Discordant
from calibtool.intervals.draws import Draws
from calibtool.metrics.cells import Cells
from calibtool.parallel import Work
from calibtool.streaming.grid import named
from calibtool.streaming.layout import layout_for
from calibtool.streaming.passes import SummaryTask, summarize_by_unit
from calibtool.streaming.streamed import max_rows
from calibtool.streaming.summary import DataShape, Summary
from calibtool.streaming.unit_sums import UnitColumns, UnitSums
from calibtool.types import Array

# Tables show four decimals: a metric that moves by less when cells are twice as wide is printed
# the same, and needs no warning.
LAST_DIGIT = 5e-5


@dataclass(frozen=True, eq=False)
class CellResults(Results):
    """Variants measured from their summaries.

    Attributes:
        summaries: the summary of each variant.
        said: sentences on what was read.
        no_intervals: why there are none although they were asked for, or "".
        class_names: the names of the classes, if known.
    """

    summaries: tuple[Summary, ...] = ()
    said: tuple[str, ...] = ()
    no_intervals: str = ""
    class_names: tuple[str, ...] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was read, and on what was left out of it."""
        return self.said

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that could not be read and were left out, with the reason."""
        return self.summaries[0].skipped

    @property
    def band_draws(self) -> Draws | None:
        """The draws of the bands of curves; None where rows are clustered, of which cells know
        nothing."""
        draws = self.settings.draws
        return None if draws is None or draws.cluster is not None else draws

    def problems(self, variant: int = 0, view: str = "") -> CellProblems:
        """Return the binary problems of a variant, by default in `view`."""
        return CellProblems(self.summaries[variant], view or self.view)

    def binned(self, variant: int, edges: Array) -> tuple[Cells, Array]:
        """Return a variant's scores in `view` in bins by upper edges, and the sum of the squared
        weights in each bin; NaN where rows are clustered, of which cells know nothing."""
        summary = self.summaries[variant]
        cells = summary.cells(self.view).pool(edges)
        draws = self.settings.draws
        if self.no_intervals or (draws is not None and draws.cluster is not None):
            return cells, np.full(len(edges), np.nan)
        squares = summary.squares(self.view)
        return cells, Cells(summary.ends(self.view), squares, squares, squares).pool(edges).n

    def discordant(self, number: int, variant: int, since: int) -> Discordant | None:
        """Return how many rows differ between two variants in what a metric is the share of, by the
        sums of the pass, which pairs every variant with the first."""
        spec, summary = self.specs[number], self.summaries[variant]
        if self.settings.draws is not None and self.settings.draws.cluster is not None:
            return None
        sums = summary.sums.get(f"pair/{spec.name}")
        if sums is None or spec.metric.name not in SHARES or since or summary.weighted:
            return None
        rows, change, square = (float(x) for x in sums.high)
        if not square:
            return None
        return Discordant((square + change) / 2, (square - change) / 2, rows)

    def means(self, variant: int = 0) -> tuple[float, float]:
        """Return the mean score and the mean outcome of a variant, in `view`."""
        cells = self.summaries[variant].cells(self.view)
        return float(cells.p.sum() / cells.total), float(cells.y.sum() / cells.total)

    def only(self, variants: slice) -> Self:
        """Return the results of some of the variants."""
        return replace(super().only(variants), summaries=self.summaries[variants])

    def warnings(self) -> Iterator[str]:
        """Yield what the reader should know about the data, and how precise cells are."""
        if self.no_intervals:
            yield self.no_intervals
        yield from too_few_rows(self.summaries[0].rows, self.settings)
        for summary, when in zip(self.summaries, ("", " after the calibrator"), strict=False):
            for spec in nlls(self.specs, summary.classes):
                infinite = summary.sums.get(f"infinite/{kept(spec, summary)[0]}")
                if infinite is not None and infinite.high[0] > 0:
                    yield infinite_nll(spec, int(infinite.high[0]), when)
        yield from without_interval(self.specs, self.measured[0])
        yield from self._not_by_unit()
        yield from self._imprecise()

    def _not_by_unit(self) -> Iterator[str]:
        """Yield the metrics that sums by unit give no interval of."""
        draws = self.settings.draws
        if draws is None or draws.cluster is None:
            return
        pairs = zip(self.specs, self.measured[0], strict=True)
        names = [
            spec.name
            for spec, one in pairs
            if one.value is not None and np.isfinite(one.value) and one.replicates is None
        ]
        if names:
            yield (
                f"no interval for {', '.join(names)}: beyond {UNIT_ROWS:,} predictions only "
                "metrics that are sums over them, or over fixed bins, have one"
            )

    def _imprecise(self) -> Iterator[str]:
        """Yield the metrics that cells determine less precisely than tables show them."""
        rough = []
        for spec, measurement in zip(self.specs, self.measured[0], strict=True):
            if measurement.value is None:
                continue
            within = resolution(spec, self.summaries[0], measurement.value)
            if within > LAST_DIGIT:
                rough.append(f"{spec.name} (within {within:.1g})")
        if rough:
            yield (
                "computed from a grid of cells, which does not determine the last digits of "
                f"{', '.join(rough)}: the numbers in parentheses are how far each moves when cells "
                "are twice as wide"
            )


def evaluate_cells(request: Request) -> CellResults:
    """Measure every variant of a request from its summary: the one that is given, or those that
    one pass over the rows makes.

    Raises InputError, UsageError.
    """
    predictions, wanted = request.predictions, request
    draws = draws_of_units(request)
    if request.unit is not None:  # predictions of a row of the file are not independent
        request = request.without_intervals
    work, request = _watched(request)
    settings = request.settings(max_rows(predictions), of_cells=True)
    work.next("reading")
    summaries, units, columns = _summaries(request, settings, draws)
    first = summaries[0]
    if first.weighted and first.has(request.view) and not first.cells(request.view).total:
        raise InputError(f"{first.source}: {NO_WEIGHT}")
    # `max_rows` counts by the files' own records; a filter or bad files may leave fewer
    if first.rows < FEW_ROWS:
        settings = replace(settings, draws=None)
    view = request.view if request.bias else None
    work.next("measuring")
    work("measuring", math.nan)
    measured, bias = measure_cells(request.specs, summaries, settings, view)
    no_intervals = _why_no_units(wanted, units, max_rows(predictions))
    if columns is not None and draws is not None and not no_intervals:
        settings = replace(settings, resampling=wanted.resampling, draws=draws, of_cells=False)
        every = [
            UnitIntervals(summary, columns, sums, settings)
            for summary, sums in zip(summaries, units, strict=True)
        ]
        measured = [
            one.measure(request.specs, row) for one, row in zip(every, measured, strict=True)
        ]
        bias = every[0].bias(bias, request.view)
    return CellResults(
        request.specs,
        request.variants,
        tuple(tuple(row) for row in measured),
        settings,
        DataInfo(
            first.source,
            first.rows,
            first.classes,
            first.kind,
            first.weighted,
            getattr(predictions, "filter", ""),
            unit_text(predictions),
        ),
        request.view,
        bias,
        tuple(summaries),
        getattr(predictions, "notes", ()),
        no_intervals,
        getattr(predictions, "class_names", None),
    )


def _watched(request: Request) -> tuple[Work, Request]:
    """Return the progress of measuring from cells, and the request that tells its steps to it."""
    predictions, variants = request.predictions, len(request.variants)
    rows = 0 if isinstance(predictions, Summary) else max_rows(predictions)
    parts = costs.of_cells(request.specs, rows, predictions.classes, variants, request.resampling)
    work = Work(request.execution.progress, parts)
    return work, replace(request, execution=replace(request.execution, progress=work))


def _why_no_units(request: Request, units: Sequence[UnitSums], predictions: int) -> str:
    """Return why the rows of the file, of several predictions each, cannot be resampled; "" if they
    can be, or need not. `predictions` is the number of them."""
    unit = request.unit
    if unit is None or request.resampling.ci == "none":
        return ""
    count = -(-predictions // unit.per)
    if not units and count < FEWEST:
        return too_few_units(unit, count)
    if not units:
        how = f"--cluster {unit.column} resamples them"
        memory = "at some 250 bytes of memory per prediction"
        return f"no intervals for so many {unit.text}; {how}, {memory}"
    seen = int(np.count_nonzero(units[0].sums[:, 0]))
    return too_few_units(unit, seen) if seen < FEWEST else ""


def _summaries(
    request: Request, settings: Settings, draws: Draws | None
) -> tuple[list[Summary], list[UnitSums], UnitColumns | None]:
    """Return the summary that is given, or what `_summarize` makes. Raises UsageError."""
    predictions = request.predictions
    if not isinstance(predictions, Summary):
        return _summarize(request, settings, draws)
    if request.paired or request.variants[0].title:
        raise UsageError(
            f"{predictions.source}: holds cells, and a calibrator can only be applied to rows; "
            "make cells of the calibrated predictions (`calibtool apply`) instead"
        )
    return [predictions], [], None


def _summarize(
    request: Request, settings: Settings, draws: Draws | None
) -> tuple[list[Summary], list[UnitSums], UnitColumns | None]:
    """Read the rows once, and return the summary of each variant, and its sums by unit with their
    columns if units are drawn.

    Besides what the metrics need, the summaries keep the request's view and the edges of the bins
    that a report keeps.
    """
    predictions = request.predictions
    shape = DataShape(predictions.kind, predictions.classes, predictions.one_column)
    layout = layout_for(request.specs, shape)
    layout = replace(
        layout,
        views=tuple(sorted({*layout.views, request.view})),
        edges=tuple(sorted({*layout.edges, *named(KEPT)})),
    )
    columns = None
    if draws is not None and request.unit is not None:
        column = request.unit.column
        unit = draws.units(0, draws.rows)
        columns = UnitColumns.of(
            request.specs, layout.scores, column, unit, predictions.classes, request.view
        )
        if isinstance(predictions, Source):
            predictions = predictions.also([column])
    summaries, units = summarize_by_unit(
        predictions,
        SummaryTask(layout, tuple(request.applied), columns),
        threads=settings.threads,
        progress=settings.progress,
    )
    return summaries, units, columns
