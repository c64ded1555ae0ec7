"""Sliced: every metric in every slice of the rows, beside the whole, by how surely they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

from calibtool.data.files.reader import left_out
from calibtool.data.files.source import Source
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Readable, Recalibrator, unchanged
from calibtool.data.rows import reduce_rows
from calibtool.data.slicing import FEW, Partition, carrying, partition
from calibtool.errors import CalibtoolError, InputError, NotAvailableError
from calibtool.evaluation.evaluate import evaluate
from calibtool.evaluation.report import Report
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

EITHER = 5  # right and wrong rows that a slice needs for a p-value
METRICS = ("accuracy", "mean-confidence", "nll", "ece")


@dataclass(frozen=True)
class SliceEstimate:
    """A metric in a slice.

    Attributes:
        estimate: of the slice's rows alone.
        p_value: the smallest 1 - level at which the slice's interval leaves out the value of all
            rows; None without an interval, or with fewer than EITHER right or wrong rows.
        adjusted: after Holm's correction for all metrics and slices shown.
    """

    estimate: Estimate
    p_value: float | None = None
    adjusted: float | None = None


@dataclass(frozen=True)
class SliceResult:
    """Some of the rows, and every metric of them."""

    name: str
    rows: int
    measures: tuple[SliceEstimate, ...]


@dataclass(frozen=True)
class SlicesBy:
    """The rows by one column, or by several.

    Attributes:
        by: such as "country" or "country,age".
        slices: those with rows enough, in the order of their values.
        apart: which are set apart, and why; "" if none are.
        note: which values were joined or are missing.
        small: name and rows of those set apart.
    """

    by: str
    slices: tuple[SliceResult, ...]
    apart: str = ""
    note: str = ""
    small: tuple[tuple[str, int], ...] = ()

    def sorted(self, metric: int) -> list[tuple[SliceResult, SliceEstimate]]:
        """Slices by how surely they differ from the whole in a metric, the surest first."""
        pairs = [(one, one.measures[metric]) for one in self.slices]
        return sorted(pairs, key=lambda pair: 2.0 if pair[1].p_value is None else pair[1].p_value)


@dataclass(frozen=True)
class SliceReport(Shown):
    """Every metric in every slice.

    Attributes:
        data: what was read.
        calibrator: what was applied before, or "".
        whole: the metrics of all rows.
        parts: one for each `by`.
        level: of the intervals; None without.
        tests: how many p-values were corrected together.
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
    progress: Progress | None = None,
    **how: Any,
) -> SliceReport:
    """Measure every slice by itself.

    Args:
        predictions: what to measure; in memory, with the columns in `extra`.
        by: a column, a pseudo-column ("predicted", "confidence") or several separated by commas
            ("country,age"): see `calibtool.data.slicing`. A list for one part after the other.
        metrics, calibrator, progress, how: as for `evaluate`. With a calibrator, what it makes of
            the rows is measured.

    Raises InputError, UsageError.

    >>> import numpy as np
    >>> from calibtool.data.slicing import with_extra
    >>> p = Predictions.from_probs([0.9, 0.2] * 40, [1, 0] * 40)
    >>> p = with_extra(p, {"place": np.array(["a"] * 40 + ["b"] * 40)})
    >>> [one.rows for one in evaluate_by(p, "place", ["accuracy"], ci="none").parts[0].slices]
    [40, 40]
    """
    predictions = as_source(predictions)
    wanted = [by] if isinstance(by, str) else list(by)
    specs = parse_list(metrics)
    in_whole = nullcontext() if has_engine(predictions) else suppress(NotAvailableError)
    if has_engine(predictions):
        require_streamed(predictions, specs, cluster=how.get("cluster"))
    streamed = is_streamed(predictions, EXACT_ROWS) and streams(specs) and not how.get("cluster")
    if streamed and isinstance(predictions, Source):
        with in_whole:  # columns of many numbers are parted in memory
            return _streamed(predictions, wanted, specs, calibrator, progress, how)
    rows = load(predictions, [*wanted, how["cluster"]] if how.get("cluster") else wanted)
    skipped = predictions.skipped if isinstance(predictions, Source) else ()
    parted = [partition(rows, one) for one in wanted]
    if calibrator is not None:
        rows = replace(calibrator(rows), source=rows.source, extra=rows.extra)
    whole = evaluate(rows, specs, **how)
    count = sum(len(one.large) for one in parted)
    done = 0
    parts = []
    for part in parted:
        found = []
        for k in part.large:
            report = _of(rows, part, k, specs, how)
            tested = enough(rows.take(part.index(k)))
            measures = [
                SliceEstimate(estimate, _p_of(estimate, all_, whole.level) if tested else None)
                for estimate, all_ in zip(report, whole.estimates, strict=True)
            ]
            found.append(SliceResult(part.names[k], int(part.rows[k]), tuple(measures)))
            done += 1
            if progress is not None:
                progress("slices", done / count)
        small = [k for k in range(len(part.names)) if 0 < part.rows[k] < part.few]
        names = tuple((part.names[k], int(part.rows[k])) for k in small)
        parts.append(SlicesBy(part.by, tuple(found), part.apart, part.note, names))
    whole = replace(whole, warnings=(*left_out(skipped), *whole.warnings))
    return _corrected(whole, parts, "" if calibrator is None else calibrator.describe())


def _streamed(
    source: Source,
    wanted: Sequence[str],
    specs: Sequence[Spec],
    calibrator: Recalibrator | None,
    progress: Progress | None,
    how: dict[str, Any],
) -> SliceReport:
    """The same of so many rows that they are streamed, one pass a column."""
    shape = DataShape(source.kind, source.classes, source.one_column)
    keep = layout_for([resolve_view(spec, source) for spec in specs], shape)
    view = main_view(specs, source)
    keep = replace(keep, views=tuple(sorted({*keep.views, "top", view})))
    task = SummaryTask(keep, (unchanged if calibrator is None else calibrator,))
    parts, whole = [], None
    for one in wanted:
        groups = summarize_groups(source, one, keep, task, progress=progress)
        named, note = groups.named()
        if whole is None:
            total = named[0][1]
            for _, state in named[1:]:
                total += state
            whole = evaluate(
                replace(total, source=source.source, skipped=source.skipped), specs, **how
            )
        found, small = [], []
        for name, state in named:
            if state.rows < FEW:
                small.append((name, state.rows))
                continue
            top = state.cells("top")
            right = float(top.y.sum())
            tested = min(right, float(top.total) - right) >= EITHER
            measures = [
                SliceEstimate(estimate, _p_of(estimate, all_, whole.level) if tested else None)
                for estimate, all_ in zip(evaluate(state, specs, **how), whole, strict=True)
            ]
            found.append(SliceResult(name, state.rows, tuple(measures)))
        apart = ""
        if small:
            listed = ", ".join(f"{name} ({rows})" for name, rows in small[:5])
            apart = f"Set apart, since fewer than {FEW} rows say too little: {listed}."
        parts.append(SlicesBy(one, tuple(found), apart, note, tuple(small)))
    assert whole is not None
    return _corrected(whole, parts, "" if calibrator is None else calibrator.describe())


def load(predictions: Readable, by: Sequence[str]) -> Predictions:
    """All rows in memory, with the columns that part them."""
    if isinstance(predictions, Source):
        return carrying(predictions, by).load()
    if isinstance(predictions, Predictions):
        return predictions
    raise InputError(f"{predictions.source}: slices need predictions in memory, or a file")


def enough(rows: Predictions) -> bool:
    """Whether EITHER rows at least are right and as many are wrong (and, of two classes, as many
    have each label): with fewer, a bootstrap does not know how far a slice may be off."""
    found = reduce_rows(rows)
    outcomes = [found.correct] if found.outcome is None else [found.correct, found.outcome]
    return all(min(int(o.sum()), int((~o).sum())) >= EITHER for o in outcomes)


def _of(
    rows: Predictions, part: Partition, k: int, specs: Sequence[Spec], how: dict[str, Any]
) -> tuple[Estimate, ...]:
    """The metrics of a slice; what they lack is said, not raised."""
    try:
        return evaluate(rows.take(part.index(k)), specs, **how).estimates
    except CalibtoolError as error:
        return tuple(
            Estimate(spec.name, None, view=spec.view, missing=str(error)) for spec in specs
        )


def _p_of(own: Estimate, whole: Estimate, level: float | None) -> float | None:
    """How surely a slice differs from the whole: its interval is widened, in proportion to normal
    deviates, until it reaches the whole's value. An end that is closer than the bootstrap spreads
    (an error that came out smaller than chance makes it) is moved out to where it would."""
    if own.value is None or whole.value is None or own.low is None or own.high is None:
        return None
    centre = own.value if own.unbiased is None else own.unbiased
    goal = whole.value if whole.unbiased is None else whole.unbiased
    reach = own.high - centre if goal > centre else centre - own.low
    if not all(map(math.isfinite, (centre, goal, reach))) or level is None:
        return None
    deviates = NormalDist().inv_cdf((1 + level) / 2)
    reach = max(reach, deviates * (own.error or 0.0))
    if reach <= 0:
        return 1.0
    z = abs(goal - centre) / reach * deviates
    return math.erfc(z / math.sqrt(2))


def _corrected(whole: Report, parts: Sequence[SlicesBy], calibrator: str) -> SliceReport:
    known = [m.p_value for m in _measures(parts) if m.p_value is not None]
    adjusted = iter(holm(known))

    def judged(one: SliceEstimate) -> SliceEstimate:
        return one if one.p_value is None else replace(one, adjusted=next(adjusted))

    corrected = [
        replace(
            part,
            slices=tuple(
                replace(one, measures=tuple(judged(m) for m in one.measures)) for one in part.slices
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
        len(known),
        whole.warnings,
    )


def _measures(parts: Sequence[SlicesBy]) -> Iterator[SliceEstimate]:
    for part in parts:
        for one in part.slices:
            yield from one.measures
