"""Slices: every metric in every slice of the rows, beside its value for all rows.

`calibtool.data.slicing` parts the rows; this module measures the parts. The gate, the page and the
diagrams take their slices from the same two places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from calibtool.analysis.slice_cuts import DRAWN, cuts_of
from calibtool.analysis.slice_p_value import p_of
from calibtool.data.files.reader import left_out
from calibtool.data.files.source import Source
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Readable, Recalibrator, Variant, unchanged
from calibtool.data.rows import reduce_rows
from calibtool.data.slicing import FEW, load_with, partition, set_apart
from calibtool.errors import CalibtoolError, NotAvailableError
from calibtool.evaluation.evaluate import evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.mean_over_parts import means_over_parts
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import UNIT_ROWS, Request
from calibtool.evaluation.resampling import Resampling
from calibtool.intervals.draws import EXACT_ROWS
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.multiple import holm
from calibtool.metrics.resolve import defaults
from calibtool.metrics.spec import Spec
from calibtool.parallel import Work, parts_alike
from calibtool.streaming.groups import summarize_groups
from calibtool.streaming.layout import layout_for, streams
from calibtool.streaming.passes import SummaryTask
from calibtool.streaming.read import read as read_data
from calibtool.streaming.streamed import has_engine, is_streamed, require_streamed
from calibtool.streaming.summary import DataShape
from calibtool.types import Progress, Shown, silent

# Right and wrong rows that a slice needs for a p-value: with fewer of either, a bootstrap of the
# slice hardly ever draws other outcomes and its interval is too short.
EITHER = 5
METRICS = tuple(defaults(("accuracy", "mean-confidence", "nll", "ece")))


@dataclass(frozen=True)
class SliceEstimate:
    """A metric of one slice.

    Attributes:
        estimate: estimate from the rows of the slice alone.
        p_value: smallest 1 - level at which the interval of the slice excludes the value of all
            rows; None without an interval, or with fewer than EITHER right or wrong rows.
        adjusted: p-value after Holm's correction for all metrics and slices of the report.
    """

    estimate: Estimate
    p_value: float | None = None
    adjusted: float | None = None


@dataclass(frozen=True)
class SliceResult:
    """A slice: its name, its number of rows, and an estimate per metric."""

    name: str
    rows: int
    measures: tuple[SliceEstimate, ...]


@dataclass(frozen=True)
class SlicesBy:
    """The slices by one column, or by a combination of columns.

    Attributes:
        by: the columns, such as "country" or "country,age".
        slices: slices with enough rows, in the order of their values.
        apart: sentence that says which slices are set apart, and why; "" if none are.
        note: which values were joined or are missing, or "".
        small: name and number of rows of the slices that are set apart.
        mean: the mean of each metric over the labels of rows that have several (the macro average;
            that of all rows is the micro average); () for other slices. Those of rows that do not
            fit in memory have no interval.
    """

    by: str
    slices: tuple[SliceResult, ...]
    apart: str = ""
    note: str = ""
    small: tuple[tuple[str, int], ...] = ()
    mean: tuple[Estimate, ...] = ()

    def sorted(self, metric: int) -> list[tuple[SliceResult, SliceEstimate]]:
        """Return the slices with the estimate of one metric, the smallest p-value first.

        `metric` is the number of the metric. Slices without a p-value come last.
        """
        pairs = [(part, part.measures[metric]) for part in self.slices]
        return sorted(pairs, key=lambda pair: 2.0 if pair[1].p_value is None else pair[1].p_value)


@dataclass(frozen=True)
class SliceReport(Shown):
    """Every metric in every slice.

    Attributes:
        data: description of the predictions.
        calibrator: description of the calibrator that was applied before, or "".
        whole: estimates of all rows.
        parts: slices by each `by` that was asked for.
        level: confidence level of the intervals; None without intervals.
        tests: number of p-values that were corrected together.
        warnings, notes: of the data, as in a `Report`.
    """

    data: DataInfo
    calibrator: str
    whole: tuple[Estimate, ...]
    parts: tuple[SlicesBy, ...]
    level: float | None
    tests: int
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def evaluate_by(
    predictions: Any,
    by: str | Sequence[str],
    metrics: str | Iterable[str | Spec] = METRICS,
    *,
    calibrator: Recalibrator | None = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    **keys: Any,
) -> SliceReport:
    """Measure every slice by itself.

    Args:
        predictions: all that `ct.read` takes; `Predictions` with the columns in `extra`.
        by: a column, a pseudo-column ("predicted", "confidence") or several separated by commas
            ("country,age"): see `calibtool.data.slicing`. A list gives one set of slices per item.
        metrics, calibrator, cluster, ci, resamples, level, seed, threads, progress: as for
            `evaluate`. With a calibrator, the calibrated rows are measured.
        keys: which column has which role, as for `ct.load`.

    Raises InputError for a column that is not there or missing labels, UsageError for options.

    >>> import numpy as np
    >>> from calibtool.data.slicing import with_extra
    >>> p = Predictions.from_probs([0.9, 0.2] * 40, [1, 0] * 40)
    >>> p = with_extra(p, {"place": np.array(["a"] * 40 + ["b"] * 40)})
    >>> report = evaluate_by(p, "place", ["accuracy"], ci="none")
    >>> [part.rows for part in report.parts[0].slices]
    [40, 40]
    """
    request = Request.of(
        read_data(predictions, **keys),
        metrics,
        cluster=cluster,
        resampling=Resampling(ci, resamples, level, seed),
        execution=Execution.of(threads),  # progress counts slices, not the steps of each
    )
    source, every_by = request.predictions, [by] if isinstance(by, str) else list(by)
    on_engine = has_engine(source)
    if on_engine:
        require_streamed(source, request.specs, cluster=cluster)
    in_one_pass = cluster is None and streams(request.specs)
    most = EXACT_ROWS if request.unit is None else UNIT_ROWS
    if isinstance(source, Source) and in_one_pass and is_streamed(source, most):
        # what one pass cannot do (quantiles) is done in memory below, but not on an engine
        with nullcontext() if on_engine else suppress(NotAvailableError):
            return _from_summaries(request, source, every_by, calibrator, progress or silent)
    return _from_rows(request, every_by, calibrator, progress or silent)


def _from_rows(
    request: Request, every_by: Sequence[str], calibrator: Recalibrator | None, progress: Progress
) -> SliceReport:
    """Measure the slices of rows that are loaded."""
    source, cluster = request.predictions, request.cluster
    rows = load_with(source, every_by if cluster is None else [*every_by, cluster])
    skipped = source.skipped if isinstance(source, Source) else ()
    # parted before the calibrator: it must not move rows between slices
    parted = [partition(rows, by) for by in every_by]
    if calibrator is not None:
        rows = replace(calibrator(rows), source=rows.source, extra=rows.extra, notes=rows.notes)
    # a slice takes as long as its rows, and a little more
    sizes = [int(part.rows[k]) for part in parted for k in part.large]
    total, done = rows.rows + sum(sizes) + FEW * (1 + len(sizes)), rows.rows + FEW
    progress("all rows", 0.0)
    whole = _report_on(request, rows)
    progress("all rows", done / total)
    parts = []
    for part in parted:
        results = []
        for k in part.large:
            inside = part.take(rows, k)
            estimates = slice_estimates(request, inside)
            tested = enough(inside)
            results.append(_result(part.names[k], int(part.rows[k]), estimates, whole, tested))
            done += int(part.rows[k]) + FEW
            progress(f"slices by {part.by}", done / total)
        mean: tuple[Estimate, ...] = ()
        if rows.unit and part.by == rows.unit.part and not part.small:
            mean = means_over_parts(request, rows, part.codes, _means(results))
        parts.append(SlicesBy(part.by, tuple(results), part.apart, part.note, part.small, mean))
    whole = replace(whole, warnings=(*left_out(skipped), *whole.warnings))
    return _corrected(whole, parts, "" if calibrator is None else calibrator.describe())


def _means(results: Sequence[SliceResult]) -> tuple[Estimate, ...]:
    """Return the mean of each metric over slices; without a value where a slice has none."""
    return tuple(
        replace(
            measures[0].estimate,
            value=_mean([m.estimate.value for m in measures]),
            corrected=_mean([m.estimate.corrected for m in measures]),
            low=None,
            high=None,
            p_value=None,
            error=None,
            signature="",
            missing=next((m.estimate.missing for m in measures if m.estimate.missing), ""),
        )
        for measures in zip(*(result.measures for result in results), strict=True)
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _from_summaries(
    request: Request,
    source: Source,
    every_by: Sequence[str],
    calibrator: Recalibrator | None,
    progress: Progress,
) -> SliceReport:
    """Measure the slices of rows that do not fit in memory, in one pass per item of `every_by`.

    Raises NotAvailableError where one pass cannot part the rows.
    """
    layout = layout_for(request.specs, DataShape(source.kind, source.classes, source.one_column))
    # the top view counts the right and wrong rows of each slice
    layout = replace(layout, views=tuple(sorted({*layout.views, "top", request.view})))
    task = SummaryTask(layout, (unchanged if calibrator is None else calibrator,))
    parts, whole, unit = [], None, source.unit
    if unit is not None:  # the slices' sums know nothing of the rows of the file
        variant = Variant() if calibrator is None else Variant(calibrator)
        whole = report_of(evaluate_variants(replace(request, variants=(variant,))))
    progress("drawing rows", math.nan)
    cuts = {} if has_engine(source) else cuts_of(source, every_by, request.resampling.seed)
    passes = Work(progress, parts_alike(len(every_by)))
    for k, by in enumerate(every_by):
        passes.next(str(k))
        one_of_each = unit is None or by == unit.part
        of_slice = request if one_of_each else request.without_intervals
        groups = summarize_groups(
            source, by, task, cuts, threads=request.execution.threads, progress=passes
        )
        named, note = groups.named()
        if any(one is not None and not one.each for one in groups.cuts):
            note = f"{note} {DRAWN}".lstrip()
        if whole is None:  # the slices of any column add up to all rows
            total = named[0][1]
            for _, summary in named[1:]:
                total += summary
            total = replace(total, source=source.source, skipped=source.skipped)
            whole = replace(_report_on(request, total), notes=source.notes)
        results, small = [], []
        for name, summary in named:
            if summary.rows < FEW:
                small.append((name, summary.rows))
                continue
            top = summary.cells("top")
            right = float(top.y.sum())
            tested = min(right, float(top.total) - right) >= EITHER
            estimates = _report_on(of_slice, summary).estimates
            results.append(_result(name, summary.rows, estimates, whole, tested))
        mean = _means(results) if unit is not None and one_of_each and not small else ()
        if not one_of_each:
            assert unit is not None
            said = f"no intervals by {by} for so many {unit.text}"
            whole = replace(whole, warnings=(*whole.warnings, said))
        parts.append(SlicesBy(by, tuple(results), set_apart(small), note, tuple(small), mean))
    assert whole is not None
    return _corrected(whole, parts, "" if calibrator is None else calibrator.describe())


def _result(
    name: str, rows: int, estimates: Sequence[Estimate], whole: Report, tested: bool
) -> SliceResult:
    """Return the record of a slice, with p-values if it is `tested`."""
    measures = [
        SliceEstimate(estimate, p_of(estimate, of_all, whole.level) if tested else None)
        for estimate, of_all in zip(estimates, whole.estimates, strict=True)
    ]
    return SliceResult(name, rows, tuple(measures))


def enough(rows: Predictions) -> bool:
    """Return whether a slice has enough rows of either outcome for a p-value.

    At least EITHER rows must be right and as many wrong; with two classes, as many must also have
    each label. With fewer, a bootstrap does not show how far the slice may be off.
    """
    reduced = reduce_rows(rows)
    outcomes = [reduced.correct] if reduced.outcome is None else [reduced.correct, reduced.outcome]
    return all(min(int(o.sum()), int((~o).sum())) >= EITHER for o in outcomes)


def _report_on(request: Request, predictions: Readable) -> Report:
    """Return the report of a request on some of its rows, or on their summary."""
    return report_of(evaluate_variants(replace(request, predictions=predictions)))


def slice_estimates(request: Request, rows: Predictions) -> tuple[Estimate, ...]:
    """Return the estimates of a request on the rows of a slice, one per metric.

    Where the slice cannot be measured, the estimates have no value and say why in `missing`: the
    other slices are still worth showing.
    """
    try:
        return _report_on(request, rows).estimates
    except CalibtoolError as error:
        return tuple(
            Estimate(spec.name, None, view=spec.view, missing=str(error)) for spec in request.specs
        )


def _corrected(whole: Report, parts: Sequence[SlicesBy], calibrator: str) -> SliceReport:
    """Return the report, with all p-values corrected together by Holm's method."""
    p_values = [m.p_value for m in _measures(parts) if m.p_value is not None]
    adjusted = iter(holm(p_values))

    def with_adjusted(measure: SliceEstimate) -> SliceEstimate:
        """Return an estimate with its adjusted p-value, if it has a p-value."""
        return measure if measure.p_value is None else replace(measure, adjusted=next(adjusted))

    corrected = [
        replace(
            part,
            slices=tuple(
                replace(result, measures=tuple(with_adjusted(m) for m in result.measures))
                for result in part.slices
            ),
        )
        for part in parts
    ]
    return SliceReport(
        whole.data,
        calibrator,
        whole.estimates,
        tuple(corrected),
        whole.level,
        len(p_values),
        whole.warnings,
        whole.notes,
    )


def _measures(parts: Sequence[SlicesBy]) -> Iterator[SliceEstimate]:
    """Yield the estimates of all slices, in the order in which `_corrected` replaces them."""
    for part in parts:
        for result in part.slices:
            yield from result.measures
