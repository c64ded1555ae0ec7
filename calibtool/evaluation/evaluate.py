"""Evaluate: read the predictions once, collect what the metrics need, compute, put intervals on
the numbers, report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from calibtool.calibrators.crossfit import cross_fit
from calibtool.calibrators.fit import fit
from calibtool.data.blocks import Wanted, unit
from calibtool.data.clusters import clusters
from calibtool.data.files.reader import left_out
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Apply, Readable, Recalibrator, Variant
from calibtool.data.rows import Rows, reduce_rows
from calibtool.errors import CalibtoolError, InputError
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.collect import Collected, collect
from calibtool.evaluation.evaluate_cells import evaluate_cells as stream
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.from_rows import measure_rows
from calibtool.evaluation.measurement import Settings
from calibtool.evaluation.report import Report
from calibtool.evaluation.resampling import FEW_ROWS, Resampling, require_memory
from calibtool.evaluation.results import Results, bias_of
from calibtool.evaluation.wording import read
from calibtool.intervals.draws import EXACT_ROWS
from calibtool.metrics.cells import Cells, ScoreSum, locate
from calibtool.metrics.kinds import CountMetric, MatrixMetric, Score, TwoFileMetric
from calibtool.metrics.spec import Spec, main_view, parse_list, resolve_view
from calibtool.streaming.engines.dask_frame import as_source
from calibtool.streaming.layout import streams
from calibtool.streaming.passes import (
    STREAMED_ROWS,
    has_engine,
    is_streamed,
    max_rows,
    require_streamed,
)
from calibtool.streaming.summary import Summary
from calibtool.types import Array, Progress

OF_OTHER = "ood-auroc,ood-auroc(by=entropy),ood-fpr95"  # what a second file is measured by


def evaluate(
    predictions: Readable,
    metrics: str | Iterable[str | Spec] = "default",
    *,
    calibrator: Recalibrator | None = None,
    ood: Readable | None = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure predictions.

    Args:
        predictions: `Predictions`, a `Source` to be read in blocks, a `Summary`, or a Dask data
            frame whose columns tell their part by name (`ct.from_dask` for others).
        metrics: spec strings such as ["ece", "classwise-ece(bins=10)"] or "ece,nll".
        calibrator: also measure what it makes of the predictions, and the paired difference.
        ood: predictions of rows from elsewhere, whose labels do not matter: how well confidence
            tells them from these is then measured too.
        cluster: a column of which rows with equal values hang together; they are drawn together.
        ci: "inverted" (covers), "percentile", "basic", "bca" or "none". Under "inverted", what
            is no calibration error gets a BCa bootstrap, or a closed form where it has one.
        resamples: bootstrap replicates.
        level: of the intervals, in (0, 1).
        seed: of the replicates; the digits depend on nothing else.
        threads: None for as many as there are cores. It changes no digit.
        progress: called now and then with what is being done and the share that is done.

    Raises InputError, UsageError.

    >>> p = Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]], [0, 1])
    >>> round(evaluate(p, ["ece"], ci="none")["ece"].value, 6)
    0.3
    """
    systems = [Variant()] if calibrator is None else [Variant(), Variant.of(calibrator)]
    found = evaluate_variants(
        as_source(predictions),
        metrics,
        systems,
        ood=ood,
        cluster=cluster,
        ci=ci,
        resamples=resamples,
        level=level,
        seed=seed,
        threads=threads,
        progress=progress,
    )
    return report_of(found)


def evaluate_variants(
    predictions: Readable,
    metrics: str | Iterable[str | Spec],
    systems: Sequence[Variant] = (Variant(),),
    *,
    ood: Readable | None = None,
    cluster: str | None = None,
    bias: bool = True,
    **how: Any,
) -> Results:
    """Measure several systems on the same rows: by their cells where there are more than
    STREAMED_ROWS rows (of two systems, more than EXACT_ROWS in a file), or an engine reads them, or
    there are no rows any more; by `evaluate_rows` where there are fewer, or where a metric or
    clusters need whole rows.

    The arguments are those of `evaluate_rows`; `how` is how intervals are made.
    """
    asked = parse_list(metrics)
    kept = isinstance(predictions, Summary)
    if has_engine(predictions):
        require_streamed(predictions, asked, cluster=cluster, ood=ood)
    streamed = streams(asked) and _many(predictions, paired=len(systems) > 1)
    if kept and (cluster is not None or ood is not None):
        option = "--cluster" if cluster is not None else "--ood"
        raise InputError(f"{predictions.source}: holds cells, no rows; {option} needs rows")
    if not kept and (not streamed or cluster is not None or ood is not None):
        return evaluate_rows(
            predictions, asked, systems, ood=ood, cluster=cluster, bias=bias, **how
        )
    return _streamed(predictions, asked, systems, bias=bias, **how)


def _streamed(
    predictions: Readable,
    asked: Sequence[Spec],
    systems: Sequence[Variant],
    *,
    bias: bool,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Results:
    resampling = Resampling(ci, resamples, level, seed)
    settings = Settings(
        resampling,
        resampling.draws(max_rows(predictions)),
        Execution.of(threads, progress),
        paired=len(systems) > 1,
    )
    specs = [resolve_view(spec, predictions) for spec in asked]
    if settings.draws is not None:
        require_memory(specs, predictions, resamples)
    return stream(predictions, specs, systems, settings, bias=bias)


def _many(predictions: Readable, *, paired: bool) -> bool:
    """Whether cells are to stand for the rows. Cells cannot pair an error before and after, so that
    rows which are in memory, or fit there, are kept where there are two systems."""
    if paired and isinstance(predictions, Predictions):
        return False
    return is_streamed(predictions, EXACT_ROWS if paired else STREAMED_ROWS)


@dataclass(frozen=True, eq=False)
class RowResults(Results):
    """Several systems on the same rows, by the same draws: any two are paired.

    Attributes:
        collected: what the pass left of each system.
        left: files that could not be read and were left out, with the reason.
    """

    collected: tuple[Collected, ...] = ()
    left: tuple[tuple[str, str], ...] = ()

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that could not be read and were left out, with the reason."""
        return self.left

    def means(self, system: int = 0) -> tuple[float, float]:
        """Mean score and mean outcome of a system."""
        return _means(self.collected[system].rows, self.view)

    def panels(self, system: int = 0, view: str = "") -> RowProblems:
        """The panels of a system's scores, in `view` unless another is named."""
        return RowProblems(self.collected[system], view or self.view)

    def binned(self, system: int, edges: Array) -> tuple[Cells, Array]:
        """A system's scores in `view` in bins by upper edges, and the sum of the squared weights
        in each."""
        rows = self.collected[system].rows
        score, outcome = rows.view(self.view)
        where = locate(score, edges)
        cells = Cells.binned(score, outcome, edges, rows.weights, where)
        if rows.weights is None:
            return cells, cells.n
        return cells, np.bincount(where, rows.weights**2, len(edges))

    def only(self, systems: slice) -> Self:
        """Some of the systems."""
        return replace(super().only(systems), collected=self.collected[systems])

    def warnings(self) -> Iterator[str]:
        """What the reader should know about the data."""
        yield from _warnings(self.collected, self.settings)
        yield from _without_interval(self)


def evaluate_rows(
    predictions: Readable,
    metrics: str | Iterable[str | Spec],
    systems: Sequence[Variant] = (Variant(),),
    *,
    ood: Readable | None = None,
    want: Collection[str] = (),
    bias: bool = True,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> RowResults:
    """Measure several systems on the same rows, and keep what the pass left of them.

    Args:
        want: columns of `Rows` that are wanted besides those that the metrics need.
        bias: whether mean score minus mean outcome is wanted, with its interval.

    The other arguments are those of `evaluate`, which is this with one system or two.
    """
    resampling = Resampling(ci, resamples, level, seed)
    together = None if cluster is None or ci == "none" else clusters(predictions, cluster)
    settings = Settings(
        resampling,
        resampling.draws(predictions.rows, together),
        Execution.of(threads, progress),
        paired=len(systems) > 1,
    )
    asked = parse_list(metrics)
    if ood is not None and not any(isinstance(spec.metric, TwoFileMetric) for spec in asked):
        asked += parse_list(OF_OTHER)
    specs = [resolve_view(spec, predictions) for spec in asked]
    wanted = _wanted(specs, predictions)
    if predictions.classes is not None:
        wanted = replace(wanted, columns=wanted.columns | set(want))
    draws = settings.draws if wanted.lowest is not None else None
    if settings.draws is not None:
        require_memory(specs, predictions, resamples)
    applied = [system.apply for system in systems]
    blocks = _watched(predictions, unit(predictions.classes), settings.progress)
    collected = collect(blocks, applied, wanted=wanted, draws=draws, threads=settings.threads)
    if any(isinstance(s.metric, Score) and "refined" in s.metric.needs for s in specs):
        collected = _refined(predictions, applied, collected)
    others = _others(ood, predictions, applied, specs)
    rows = collected[0].rows
    if rows.weights is not None and not rows.weights.any():
        raise InputError(f"{predictions.source}: all weights are zero; nothing can be measured")
    view = main_view(specs, predictions)
    measured, mean = measure_rows(specs, collected, settings, view if bias else None, others)
    data = DataInfo(
        predictions.source,
        len(rows.confidence),
        predictions.classes,
        predictions.kind,
        rows.weights is not None,
        getattr(predictions, "filter", ""),
    )
    return RowResults(
        tuple(specs),
        tuple(systems),
        tuple(tuple(row) for row in measured),
        settings,
        data,
        view,
        mean,
        tuple(collected),
        getattr(predictions, "skipped", ()),
    )


def _wanted(specs: Sequence[Spec], predictions: Readable) -> Wanted:
    """What the pass has to leave for these metrics."""
    if predictions.classes is None:
        return Wanted()
    columns: set[str] = set()
    probs = False
    lowest = []
    for spec in specs:
        metric = spec.metric
        if isinstance(metric, Score):
            columns |= set(metric.needs)
        elif isinstance(metric, TwoFileMetric):
            columns |= {"entropy"} if spec.options["by"] == "entropy" else set()
        elif isinstance(metric, CountMetric) or spec.view == "label":
            columns |= {"labels", "predicted"}
        elif isinstance(metric, MatrixMetric):
            columns, probs = columns | {"labels"}, True
        elif spec.view == "class" and spec.one_edge_for_all:
            lowest.append(float(spec.edges(Cells.empty())[0]))
        elif spec.view == "class":
            columns, probs = columns | {"labels"}, True
    return Wanted(min(lowest, default=None), frozenset(columns), probs)


def _refined(
    predictions: Readable, systems: Sequence[Apply], collected: Sequence[Collected]
) -> list[Collected]:
    """With each row's log-probability after temperature scaling fitted on the other folds; as it
    was where that cannot be fitted."""
    if predictions.kind == "confidence":
        return list(collected)
    whole = predictions.load()
    found = []
    for system, own in zip(systems, collected, strict=True):
        try:
            numbered, refit = cross_fit(partial(fit, "temperature"), system(whole), "temperature")
            refined = reduce_rows(refit(numbered)).log_prob
        except CalibtoolError:
            refined = None
        found.append(replace(own, rows=replace(own.rows, refined=refined)))
    return found


def _others(
    ood: Readable | None,
    predictions: Readable,
    systems: Sequence[Apply],
    specs: Sequence[Spec],
) -> list[Rows | None]:
    """Each system's rows of the second file."""
    if ood is None:
        return [None for _ in systems]
    if ood.classes != predictions.classes:
        raise InputError(
            f"{ood.source} has {ood.classes or 'no'} classes, {predictions.source} has "
            f"{predictions.classes or 'no'}; --ood needs rows of the same model"
        )
    want = _wanted(specs, predictions).columns & {"entropy"}
    parts: list[list[Rows]] = [[] for _ in systems]
    for block in ood.blocks(unit(ood.classes)):
        known = block
        if block.kind != "confidence" and block.labels is None:
            known = replace(block, labels=np.zeros(block.rows, np.int64))
        for part, system in zip(parts, systems, strict=True):
            part.append(reduce_rows(system(known), want=want))
    return [Rows.concatenate(part) for part in parts]


def _watched(predictions: Readable, size: int, progress: Progress) -> Iterator[Predictions]:
    done = 0
    for block in predictions.blocks(size):
        if block.kind != "confidence" and block.labels is None:
            raise InputError(f"{predictions.source}: there are no labels to measure against")
        yield block
        done += block.rows
        progress("reading", done / max(predictions.rows, 1))


# ------------------------------------------------------------------ the report


def report_of(found: Results) -> Report:
    """The record of one system, or of two, before and after."""
    said, was = found.means()
    report = Report(
        found.data,
        found.estimates(),
        level=found.level,
        bias=bias_of(found.bias, found.view, found.settings),
        said=said,
        was=was,
        warnings=(*left_out(found.skipped), *found.warnings()),
        cells=found.cells(),
        view=found.view,
        skipped=found.skipped,
    )
    if len(found.systems) > 1:
        label = found.systems[1].title
        report = replace(report, after=found.estimates(1), change=found.change(), calibrator=label)
    return replace(report, reading=read(report))


def _means(rows: Rows, view: str) -> tuple[float, float]:
    """Mean score and mean outcome."""
    score, outcome = rows.view(view)
    wide = score.astype(np.float64)
    return (
        ScoreSum.from_rows(wide, rows.weights).mean,
        ScoreSum.from_rows(outcome, rows.weights).mean,
    )


def _without_interval(found: RowResults) -> Iterator[str]:
    """Metrics of which no interval is known to cover where rows hang together."""
    if found.settings.draws is None or found.settings.draws.cluster is None:
        return
    known = zip(found.specs, found.estimates(), strict=True)
    names = [spec.name for spec, e in known if e.value is not None and e.low is None]
    if names:
        yield f"no interval of {', '.join(names)} covers where rows hang together; none is given"


def _warnings(collected: Sequence[Collected], settings: Settings) -> Iterator[str]:
    rows = len(collected[0].rows.confidence)
    if rows < FEW_ROWS and settings.resampling.ci != "none":
        yield f"{rows} rows are too few for intervals; {FEW_ROWS} are the least"
    for found, which in zip(collected, ("", " after the calibrator"), strict=False):
        log_prob = found.rows.log_prob
        if log_prob is not None and np.isneginf(log_prob).any():
            zero = np.flatnonzero(np.isneginf(log_prob))
            yield (
                f"{len(zero):,} rows give their label a probability of 0{which} (the first is row "
                f"{zero[0]}, counting from 0): their NLL is infinite, and so is the mean"
            )
