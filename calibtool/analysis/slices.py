"""Slices: every metric in every slice of the rows, beside its value for all rows.

`calibtool.data.slicing` parts the rows; this module measures the parts. The gate, the page and the
diagrams take their slices from the same two places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from statistics import NormalDist

from calibtool.data.files.reader import left_out
from calibtool.data.files.source import Source
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Readable, Recalibrator, unchanged
from calibtool.data.rows import reduce_rows
from calibtool.data.slicing import FEW, Partition, carrying, partition, set_apart
from calibtool.errors import CalibtoolError, InputError, NotAvailableError
from calibtool.evaluation.evaluate import evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.intervals.draws import EXACT_ROWS
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.multiple import holm
from calibtool.metrics.spec import Spec, main_view, parse_list, resolve_view
from calibtool.streaming.engines.dask_frame import as_source
from calibtool.streaming.groups import summarize_groups
from calibtool.streaming.layout import layout_for, streams
from calibtool.streaming.passes import SummaryTask, has_engine, is_streamed, require_streamed
from calibtool.streaming.summary import DataShape
from calibtool.types import Progress, Shown

# Right and wrong rows that a slice needs for a p-value: with fewer of either, a bootstrap of the
# slice hardly ever draws other outcomes and its interval is too short.
EITHER = 5
METRICS = ("accuracy", "mean-confidence", "nll", "ece")


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
    """

    by: str
    slices: tuple[SliceResult, ...]
    apart: str = ""
    note: str = ""
    small: tuple[tuple[str, int], ...] = ()

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
        warnings: what the reader should know about the data.
    """

    data: DataInfo
    calibrator: str
    whole: tuple[Estimate, ...]
    parts: tuple[SlicesBy, ...]
    level: float | None
    tests: int
    warnings: tuple[str, ...] = ()


def evaluate_by(
    predictions: Readable,
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
) -> SliceReport:
    """Measure every slice by itself.

    Args:
        predictions: a file, or predictions in memory with the columns in `extra`.
        by: a column, a pseudo-column ("predicted", "confidence") or several separated by commas
            ("country,age"): see `calibtool.data.slicing`. A list gives one set of slices per item.
        metrics, calibrator, cluster, ci, resamples, level, seed, threads, progress: as for
            `evaluate`. With a calibrator, the calibrated rows are measured.

    Raises InputError for a column that is not there or missing labels, UsageError for options.

    >>> import numpy as np
    >>> from calibtool.data.slicing import with_extra
    >>> p = Predictions.from_probs([0.9, 0.2] * 40, [1, 0] * 40)
    >>> p = with_extra(p, {"place": np.array(["a"] * 40 + ["b"] * 40)})
    >>> report = evaluate_by(p, "place", ["accuracy"], ci="none")
    >>> [part.rows for part in report.parts[0].slices]
    [40, 40]
    """
    predictions = as_source(predictions)
    resampling = Resampling(ci, resamples, level, seed)
    wanted = [by] if isinstance(by, str) else list(by)
    specs = parse_list(metrics)
    # what one pass cannot do (quantiles) is done in memory below, but not for rows read by Dask
    fall_back = nullcontext() if has_engine(predictions) else suppress(NotAvailableError)
    if has_engine(predictions):
        require_streamed(predictions, specs, cluster=cluster)
    streamed = is_streamed(predictions, EXACT_ROWS) and streams(specs) and cluster is None
    if streamed and isinstance(predictions, Source):
        with fall_back:
            return _streamed(
                predictions, wanted, specs, calibrator, resampling, Execution.of(threads, progress)
            )
    rows = load(predictions, wanted if cluster is None else [*wanted, cluster])
    skipped = predictions.skipped if isinstance(predictions, Source) else ()
    # parted before the calibrator: it must not move rows between slices
    parted = [partition(rows, columns) for columns in wanted]
    if calibrator is not None:
        rows = replace(calibrator(rows), source=rows.source, extra=rows.extra)
    execution = Execution.of(threads)  # progress counts slices, not the steps of each
    whole = _measure(rows, specs, resampling, cluster, execution)
    count = sum(len(part.large) for part in parted)
    done = 0
    parts = []
    for part in parted:
        results = []
        for k in part.large:
            estimates = slice_estimates(rows, part, k, specs, resampling, cluster, execution)
            tested = enough(part.take(rows, k))
            results.append(_result(part.names[k], int(part.rows[k]), estimates, whole, tested))
            done += 1
            if progress is not None:
                progress("slices", done / count)
        parts.append(SlicesBy(part.by, tuple(results), part.apart, part.note, part.small))
    whole = replace(whole, warnings=(*left_out(skipped), *whole.warnings))
    return _corrected(whole, parts, "" if calibrator is None else calibrator.describe())


def _streamed(
    source: Source,
    wanted: Sequence[str],
    specs: Sequence[Spec],
    calibrator: Recalibrator | None,
    resampling: Resampling,
    execution: Execution,
) -> SliceReport:
    """Measure the slices of rows that do not fit in memory, in one pass per item of `wanted`.

    Raises NotAvailableError where one pass cannot part the rows.
    """
    shape = DataShape(source.kind, source.classes, source.one_column)
    layout = layout_for([resolve_view(spec, source) for spec in specs], shape)
    view = main_view(specs, source)
    # the top view counts the right and wrong rows of each slice
    layout = replace(layout, views=tuple(sorted({*layout.views, "top", view})))
    task = SummaryTask(layout, (unchanged if calibrator is None else calibrator,))
    parts, whole = [], None
    for columns in wanted:
        groups = summarize_groups(source, columns, task, progress=execution.progress)
        named, note = groups.named()
        if whole is None:  # the slices of any column add up to all rows
            total = named[0][1]
            for _, summary in named[1:]:
                total += summary
            total = replace(total, source=source.source, skipped=source.skipped)
            whole = _measure(total, specs, resampling)
        results, small = [], []
        for name, summary in named:
            if summary.rows < FEW:
                small.append((name, summary.rows))
                continue
            top = summary.cells("top")
            right = float(top.y.sum())
            tested = min(right, float(top.total) - right) >= EITHER
            estimates = _measure(summary, specs, resampling).estimates
            results.append(_result(name, summary.rows, estimates, whole, tested))
        parts.append(SlicesBy(columns, tuple(results), set_apart(small), note, tuple(small)))
    assert whole is not None
    return _corrected(whole, parts, "" if calibrator is None else calibrator.describe())


def _result(
    name: str, rows: int, estimates: Sequence[Estimate], whole: Report, tested: bool
) -> SliceResult:
    """Return the record of a slice, with p-values if it is `tested`."""
    measures = [
        SliceEstimate(estimate, _p_of(estimate, of_all, whole.level) if tested else None)
        for estimate, of_all in zip(estimates, whole.estimates, strict=True)
    ]
    return SliceResult(name, rows, tuple(measures))


def load(predictions: Readable, by: Sequence[str]) -> Predictions:
    """Return all rows in memory, with the columns that part them.

    Raises InputError for anything but a file or predictions in memory.
    """
    if isinstance(predictions, Source):
        return carrying(predictions, by).load()
    if isinstance(predictions, Predictions):
        return predictions
    raise InputError(f"{predictions.source}: slices need predictions in memory, or a file")


def enough(rows: Predictions) -> bool:
    """Return whether a slice has enough rows of either outcome for a p-value.

    At least EITHER rows must be right and as many wrong; with two classes, as many must also have
    each label. With fewer, a bootstrap does not show how far the slice may be off.
    """
    reduced = reduce_rows(rows)
    outcomes = [reduced.correct] if reduced.outcome is None else [reduced.correct, reduced.outcome]
    return all(min(int(o.sum()), int((~o).sum())) >= EITHER for o in outcomes)


def _measure(
    predictions: Readable,
    specs: Sequence[Spec],
    resampling: Resampling,
    cluster: str | None = None,
    execution: Execution | None = None,
) -> Report:
    request = Request.of(
        predictions, specs, cluster=cluster, resampling=resampling, execution=execution
    )
    return report_of(evaluate_variants(request))


def slice_estimates(
    rows: Predictions,
    part: Partition,
    k: int,
    specs: Sequence[Spec],
    resampling: Resampling,
    cluster: str | None = None,
    execution: Execution | None = None,
) -> tuple[Estimate, ...]:
    """Return the estimates of slice `k` of the rows, one per metric.

    Where the slice cannot be measured, the estimates have
    no value and say why in `missing`: the other slices are still worth showing.
    """
    try:
        return _measure(part.take(rows, k), specs, resampling, cluster, execution).estimates
    except CalibtoolError as error:
        return tuple(
            Estimate(spec.name, None, view=spec.view, missing=str(error)) for spec in specs
        )


def _p_of(estimate: Estimate, whole: Estimate, level: float | None) -> float | None:
    """Return the p-value of the hypothesis that a slice has the value of all rows.

    The interval of the slice is widened, in proportion to normal deviates, until it reaches the
    value of all rows; the p-value is 1 - level of that interval. All rows are taken as known: they
    are many more than those of a slice.

    Returns None without an interval.
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    if whole.value is None or level is None:
        return None
    centre = estimate.value if estimate.unbiased is None else estimate.unbiased
    goal = whole.value if whole.unbiased is None else whole.unbiased
    reach = estimate.high - centre if goal > centre else centre - estimate.low
    if not all(map(math.isfinite, (centre, goal, reach))):
        return None
    deviates = NormalDist().inv_cdf((1 + level) / 2)
    # An error that happens to be smaller than chance makes it has an end close to its value. Such
    # an end is moved out to where the standard error of the bootstrap puts it.
    reach = max(reach, deviates * (estimate.error or 0.0))
    if reach <= 0:
        return 1.0
    z = abs(goal - centre) / reach * deviates
    return math.erfc(z / math.sqrt(2))


def _corrected(whole: Report, parts: Sequence[SlicesBy], calibrator: str) -> SliceReport:
    """Return the report, with all p-values corrected together by Holm's method."""
    p_values = [m.p_value for m in _measures(parts) if m.p_value is not None]
    adjusted = iter(holm(p_values))

    def judged(measure: SliceEstimate) -> SliceEstimate:
        """Return an estimate with its adjusted p-value, if it has a p-value."""
        return measure if measure.p_value is None else replace(measure, adjusted=next(adjusted))

    corrected = [
        replace(
            part,
            slices=tuple(
                replace(result, measures=tuple(judged(m) for m in result.measures))
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
    )


def _measures(parts: Sequence[SlicesBy]) -> Iterator[SliceEstimate]:
    """Yield the estimates of all slices, in the order in which `_corrected` replaces them."""
    for part in parts:
        for result in part.slices:
            yield from result.measures
