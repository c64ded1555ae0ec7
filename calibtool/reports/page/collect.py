"""Collect what a page shows of one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from calibtool.analysis.candidate import NOTHING
from calibtool.analysis.selection import Selection, select
from calibtool.calibrators.crossfit import FOLDS, cross_fit, numbered
from calibtool.calibrators.fit import fit
from calibtool.calibrators.registry import METHODS, finite_options
from calibtool.data.clusters import in_clusters
from calibtool.data.files.source import Source
from calibtool.data.inspection import oddities
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Recalibrator, Variant
from calibtool.data.slicing import columns_of, load_with, missing
from calibtool.diagrams import reliability_curves, risk_coverage
from calibtool.diagrams.curve import Curve
from calibtool.errors import FitError, InputError
from calibtool.evaluation.evaluate import evaluate_rows, evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import UNIT_ROWS, Request
from calibtool.evaluation.resampling import Resampling
from calibtool.evaluation.results import Results
from calibtool.evaluation.wording import effect, of_calibration, state
from calibtool.intervals.draws import EXACT_ROWS, Kept
from calibtool.metrics.spec import Spec
from calibtool.reports.page import panels
from calibtool.reports.page.groups import classes, slices
from calibtool.reports.page.model import Clinical, FileSummary, Recalibration, RightAndWrong
from calibtool.streaming.streamed import is_streamed
from calibtool.streaming.summary import Summary
from calibtool.types import Array, Progress

# calibrators tried by default: quick, and seldom far from the best
QUICK = ("temperature",)
QUICK_OF_ONE_COLUMN = ("temperature", "platt")  # a temperature cannot correct a base rate
Methods: TypeAlias = Literal["quick", "all"] | Sequence[str]
EDGES = np.arange(1, 16) / 15  # the bins of `ece`, so that the diagram shows what it measures
# Bins of a confidence that is mostly close to 1: round numbers of growing odds.
NEAR_ONE = np.array([0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999, 1.0])


@dataclass(frozen=True, eq=False)
class PageOptions:
    """The options of a page that each of its files is measured and shown with.

    Attributes:
        metrics: as for `evaluate`.
        calibrator: whose effect is shown; None to try `methods`.
        methods: calibrators to try.
        by: columns to slice the rows by.
        max_classes: number of classes that are listed.
        progress: called with a stage and the share of it that is done.
        resampling: how intervals are made.
        kept: holds the weights that calibrators are compared by for the metrics that come after.
        cluster: the column of rows that stay together, or None.
        threshold: at which the clinical panels give net benefit; None for a page without them.
    """

    metrics: str | Sequence[str | Spec]
    calibrator: Recalibrator | None
    methods: Methods
    by: tuple[str, ...]
    max_classes: int
    progress: Progress
    resampling: Resampling
    kept: Kept
    cluster: str | None = None
    threshold: float | None = None

    def request(
        self, rows: Readable, variants: Sequence[Variant], columns: Sequence[str] = ()
    ) -> Request:
        """Return the request to measure variants of a file."""
        return Request.of(
            rows,
            self.metrics,
            variants,
            cluster=self.cluster,
            columns=columns,
            resampling=self.resampling,
            execution=Execution.of(progress=self.progress),
        )


def summarize_file(
    name: str, file: Source | Predictions | Summary, options: PageOptions
) -> FileSummary:
    """Measure a file as given and after a calibrator; collect its classes, slices and oddities.

    A summary, and a file of more than EXACT_ROWS rows (UNIT_ROWS predictions, of several a row),
    give only what needs no rows in memory.
    """
    if options.threshold is not None:
        panels.require_clinical(file)
    most = UNIT_ROWS if isinstance(file, Source) and file.unit else EXACT_ROWS
    held = bool(options.by) or options.cluster is not None
    if isinstance(file, Source) and not held and is_streamed(file, most):
        from calibtool.streaming.summarize import cells  # a page of rows in memory needs none of it

        summary = cells(file, options.metrics, progress=options.progress)
        found = _of_summary(name, summary, options)
        if file.unit:
            found = _of_units(found, file, options)
        return replace(found, clinical=_clinical(file, found.report, options.calibrator, options))
    if isinstance(file, Summary):
        return _of_summary(name, file, options)
    part = file.unit.part if file.unit else ""  # labels are what their file is about
    by = options.by if not part or part in options.by else (part, *options.by)
    predictions = loaded(file, by, options.cluster)
    trial = _try_calibrators(predictions, options)
    rows, variants = predictions, [Variant()]
    if trial.applied is not None:
        rows, variants = numbered(predictions), [Variant(), Variant.of(trial.applied)]
    results = evaluate_rows(options.request(rows, variants, columns=("labels", "predicted")))
    report = report_of(results)
    level = results.settings.level
    cluster = None if results.settings.draws is None else results.settings.draws.cluster
    collected = results.collected[0]
    scores = collected.rows.view(results.view)
    names = predictions.class_names
    return FileSummary(
        name=name,
        report=report,
        verdict=state(report),
        effect=effect(report),
        curves=tuple(_curve(results, k) for k in range(len(variants))),
        confidence=_right_and_wrong(results),
        risk=risk_coverage.of_variant(results, 0, "as given"),
        fix=trial.fix,
        no_fix=trial.why_not,
        selection=trial.selection,
        classes=(
            classes(collected, rows.classes, names, level, options.max_classes, cluster)
            if rows.classes
            else None
        ),
        slices=tuple(
            slices(predictions, results.view, scores, column, options.resampling, cluster)
            for column in by
        ),
        checks=tuple(oddities(predictions, _key(file))),
        source=file.source,
        clinical=_clinical(rows, report, trial.applied, options),
    )


def _clinical(
    rows: Source | Predictions,
    report: Report,
    applied: Recalibrator | None,
    options: PageOptions,
) -> Clinical | None:
    """Return the panels of a clinical prediction model, if they were asked for."""
    if options.threshold is None:
        return None
    how = (options.resampling, options.progress)
    return panels.collect(rows, report, options.threshold, applied, *how)


def _of_summary(name: str, summary: Summary, options: PageOptions) -> FileSummary:
    """Measure a summary, which has no rows to try calibrators on, to slice or to look at."""
    if options.by:
        raise InputError(f"{summary.source}: holds cells, no rows; --by needs rows")
    variants = [Variant()] if options.calibrator is None else [Variant.of(options.calibrator)]
    results = evaluate_variants(options.request(summary, variants))
    report = report_of(results)
    return FileSummary(
        name=name,
        report=report,
        verdict=state(report),
        effect="",
        curves=(_curve(results, 0),),
        confidence=_right_and_wrong(results, summary.ends("top")),
        risk=risk_coverage.of_variant(results, 0, "as given"),
        fix=None,
        no_fix="No calibrator was tried: cells hold no rows. fit-platt, fit-isotonic and others "
        "fit on cells.",
        selection=None,
        classes=None,
        slices=(),
        checks=("cells hold no rows that could be looked at one by one",),
        source=summary.source,
    )


def _of_units(found: FileSummary, file: Source, options: PageOptions) -> FileSummary:
    """Return what is shown of a file of several predictions a row, with intervals that resample its
    rows; cells, of which diagrams are made, know nothing of them."""
    assert file.unit is not None
    variants = [Variant()] if options.calibrator is None else [Variant.of(options.calibrator)]
    results = evaluate_variants(options.request(file, variants))
    report = report_of(results)
    said = (
        f"the bands of the diagrams take predictions to be independent, and those of one "
        f"{file.unit.column} are not"
    )
    return replace(
        found,
        report=report,
        verdict=state(report),
        curves=(_curve(results, 0),),
        checks=(*found.checks, said),
    )


def loaded(
    file: Source | Predictions, by: Sequence[str] = (), cluster: str | None = None
) -> Predictions:
    """Return all rows in memory, with the columns that they are sliced by, in their clusters."""
    if cluster is not None and isinstance(file, Source):
        file = file.also([cluster])
    rows = load_with(file, by)
    for name in (name for slicing in by for name in columns_of(slicing, rows.extra)):
        if name not in rows.extra:
            raise missing(rows, name)
    return rows if cluster is None else in_clusters(rows, cluster)


def _key(file: Source | Predictions) -> str:
    """Return what the values are called in the file."""
    return file.roles.values[0] if isinstance(file, Source) else "KEY"


# ------------------------------------------------------------------ what would fix it


@dataclass(frozen=True, eq=False)
class _Trial:
    """The calibrator whose effect is shown, or why there is none.

    Attributes:
        fix: its description.
        applied: the calibrator itself, as it is applied to the rows of the file.
        selection: the calibrators that it was chosen from; None if it was given.
        why_not: why there is none, in a sentence.
    """

    fix: Recalibration | None = None
    applied: Recalibrator | None = None
    selection: Selection | None = None
    why_not: str = ""


def _try_calibrators(predictions: Predictions, options: PageOptions) -> _Trial:
    """Return the given calibrator, or the best of those that were requested."""
    if options.calibrator is not None:
        fix = Recalibration(options.calibrator.describe(), "as it was fitted before")
        return _Trial(fix, options.calibrator)
    if not options.methods:
        return _Trial(why_not="No calibrator was requested.")
    if predictions.rows < 2 * FOLDS:
        few = f"{predictions.rows} rows are too few to cross-fit a calibrator"
        return _Trial(why_not=f"{few}; at least {2 * FOLDS} are needed.")
    try:
        selection = select(
            predictions,
            _methods(options, predictions),
            resamples=options.resampling.resamples,
            level=options.resampling.level,
            seed=options.resampling.seed,
            progress=options.progress,
        )
        method = _best(selection)
        chosen = method == selection.chosen
        title = selection.calibrator.describe() if chosen else METHODS[method].title
        _, crossed = cross_fit(partial(fit, method, **finite_options(method)), predictions, title)
    except (FitError, InputError) as error:
        return _Trial(why_not=f"No calibrator could be tried: {error}")
    how_fitted = f"cross-fitted in {FOLDS} folds: each row by a fit that did not see it"
    return _Trial(Recalibration(title, how_fitted, method), crossed, selection)


def _methods(options: PageOptions, predictions: Predictions) -> Sequence[str]:
    """Return names of calibrators, or "all"."""
    if options.methods == "quick":
        one = predictions.one_column or predictions.kind == "confidence"
        return QUICK_OF_ONE_COLUMN if one else QUICK
    return [options.methods] if isinstance(options.methods, str) else options.methods


def _best(selection: Selection) -> str:
    """Return the chosen calibrator; if nothing was chosen, the best calibrator nevertheless."""
    alive = [candidate.method for candidate in selection.candidates if not candidate.failed]
    return next(name for name in (selection.chosen, *alive) if name != NOTHING)


# ------------------------------------------------------------------ what is drawn


def _curve(results: Results, variant: int) -> Curve:
    """Return the reliability curve of a variant in equal-width bins, with the first error of its
    view."""
    points = reliability_curves.binned(results, variant, EDGES, "clopper-pearson")
    errors = [
        e
        for e in results.estimates(variant)
        if e.view == results.view and e.value is not None and of_calibration(e)
    ]
    label = "after " + results.variants[variant].title.split(" (")[0] if variant else "as given"
    curve = reliability_curves.curve_of(results, variant, points, label=label)
    return replace(curve, estimates=tuple(errors[:1]))


def _right_and_wrong(results: Results, ends: Array | None = None) -> RightAndWrong:
    """Return the confidence of right and of wrong predictions, in the bins of `ece` or, where most
    rows are in the last of them, in bins that tell those apart.

    `ends` are those of the cells of a summary, which cannot be split: a bin ends where one does.
    """
    exact = results.problems(0, "top").exact(0)
    cells = exact.pool(EDGES)
    wide = bool(cells.n[-1] > cells.total / 2)
    if wide:
        edges = NEAR_ONE
        if ends is not None:
            edges = ends[np.searchsorted(ends, NEAR_ONE, side="right") - 1]
        cells = exact.pool(edges)
    right, wrong = (x / cells.total for x in (cells.y, cells.n - cells.y))
    shares = tuple(right.tolist()), tuple(wrong.tolist())
    return RightAndWrong((0.0, *cells.at.tolist()), *shares, wide)
