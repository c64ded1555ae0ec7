"""Collect what a page shows of one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from calibtool.analysis.selection import NOTHING, Selection, select
from calibtool.calibrators.crossfit import FOLDS, cross_fit, numbered
from calibtool.calibrators.fit import fit
from calibtool.calibrators.registry import METHODS
from calibtool.data.files.source import Source
from calibtool.data.inspection import oddities
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Recalibrator, Variant
from calibtool.data.slicing import carrying, columns_of, missing
from calibtool.diagrams import reliability_curves, risk_coverage
from calibtool.diagrams.curve import Curve
from calibtool.errors import FitError, InputError
from calibtool.evaluation.evaluate import evaluate_rows, evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.evaluation.results import Results
from calibtool.evaluation.wording import effect, state
from calibtool.intervals.draws import EXACT_ROWS
from calibtool.reports.page.groups import classes, slices
from calibtool.reports.page.model import FileSummary, Recalibration
from calibtool.streaming.passes import is_streamed
from calibtool.streaming.summarize import cells
from calibtool.streaming.summary import Summary
from calibtool.types import Progress

# calibrators tried by default: quick, and seldom far from the best
QUICK = ("temperature",)
QUICK_OF_ONE_COLUMN = ("temperature", "platt")  # a temperature cannot correct a base rate
Methods: TypeAlias = Literal["quick", "all"] | Sequence[str]
EDGES = np.arange(1, 16) / 15


@dataclass(frozen=True, eq=False)
class Asked:
    """What a report has to show of each file; at most `most` classes."""

    metrics: str | Sequence[str]
    calibrator: Recalibrator | None
    methods: Methods
    by: tuple[str, ...]
    most: int
    progress: Progress
    resampling: Resampling

    def request(
        self, rows: Readable, variants: Sequence[Variant], columns: Sequence[str] = ()
    ) -> Request:
        """Return what is to be measured of a file."""
        return Request.of(
            rows,
            self.metrics,
            variants,
            columns=columns,
            resampling=self.resampling,
            execution=Execution.of(progress=self.progress),
        )


def summarize_file(name: str, file: Source | Predictions | Summary, asked: Asked) -> FileSummary:
    """Measure a file as given and after a calibrator; collect its classes, slices and oddities.

    A summary, and a file of more than EXACT_ROWS rows, give only what needs no rows in memory.
    """
    if isinstance(file, Source) and is_streamed(file, EXACT_ROWS) and not asked.by:
        file = cells(file, asked.metrics, progress=asked.progress)
    if isinstance(file, Summary):
        return _of_state(name, file, asked)
    predictions = loaded(file, asked.by)
    tried = _tried(predictions, asked)
    rows, systems = predictions, [Variant()]
    if tried.applied is not None:
        rows, systems = numbered(predictions), [Variant(), Variant.of(tried.applied)]
    wanted = ("labels", "predicted")
    found = evaluate_rows(asked.request(rows, systems, columns=wanted))
    report = report_of(found)
    level = found.settings.level
    whole, scores = found.collected[0], found.collected[0].rows.view(found.view)
    names = predictions.class_names
    right, wrong = _right_and_wrong(found)
    return FileSummary(
        name=name,
        report=report,
        verdict=state(report),
        effect=effect(report),
        curves=tuple(_curve(found, k) for k in range(len(systems))),
        right=right,
        wrong=wrong,
        risk=risk_coverage.of_system(found, 0, "as given"),
        fix=tried.fix,
        no_fix=tried.why_not,
        selection=tried.selection,
        classes=classes(whole, rows.classes, names, level, asked.most) if rows.classes else None,
        slices=tuple(
            slices(predictions, found.view, scores, column, asked.resampling) for column in asked.by
        ),
        checks=tuple(oddities(predictions, _key(file))),
        source=file.source,
    )


def _of_state(name: str, kept: Summary, asked: Asked) -> FileSummary:
    if asked.by:
        raise InputError(f"{kept.source}: holds cells, no rows; --by needs rows")
    systems = [Variant()] if asked.calibrator is None else [Variant.of(asked.calibrator)]
    found = evaluate_variants(asked.request(kept, systems))
    report = report_of(found)
    right, wrong = _right_and_wrong(found)
    return FileSummary(
        name=name,
        report=report,
        verdict=state(report),
        effect="",
        curves=(_curve(found, 0),),
        right=right,
        wrong=wrong,
        risk=risk_coverage.of_system(found, 0, "as given"),
        fix=None,
        no_fix="No calibrator was tried: cells hold no rows. fit-platt, fit-isotonic and others "
        "fit on cells.",
        selection=None,
        classes=None,
        slices=(),
        checks=("cells hold no rows that could be looked at one by one",),
        source=kept.source,
    )


def loaded(file: Source | Predictions, by: Sequence[str] = ()) -> Predictions:
    """Return all rows in memory, with the columns that they are sliced by."""
    if isinstance(file, Source):
        return carrying(file, by).load()
    for name in (name for one in by for name in columns_of(one, file.extra)):
        if name not in file.extra:
            raise missing(file, name)
    return file


def _key(file: Source | Predictions) -> str:
    """Return what the values are called in the file."""
    return file.roles.values[0] if isinstance(file, Source) else "KEY"


# ------------------------------------------------------------------ what would fix it


@dataclass(frozen=True, eq=False)
class _Tried:
    """A calibrator for the rows, how it was fitted, and the others it was chosen from; or why there
    is none."""

    fix: Recalibration | None = None
    applied: Recalibrator | None = None
    selection: Selection | None = None
    why_not: str = ""


def _tried(predictions: Predictions, asked: Asked) -> _Tried:
    """Return the given calibrator, or the best of those that were requested."""
    if asked.calibrator is not None:
        fix = Recalibration(asked.calibrator.describe(), "as it was fitted before")
        return _Tried(fix, asked.calibrator)
    if not asked.methods:
        return _Tried(why_not="No calibrator was requested.")
    if predictions.kind == "confidence":
        return _Tried(why_not="With confidences alone, no calibrator can be fitted.")
    if predictions.rows < 2 * FOLDS:
        few = f"{predictions.rows} rows are too few to cross-fit a calibrator"
        return _Tried(why_not=f"{few}; at least {2 * FOLDS} are needed.")
    try:
        selection = select(
            predictions,
            _methods(asked, predictions),
            resamples=asked.resampling.resamples,
            level=asked.resampling.level,
            seed=asked.resampling.seed,
            progress=asked.progress,
        )
        method = _best(selection)
        plain = METHODS[method].title
        _, crossed = cross_fit(partial(fit, method), predictions, plain)
    except (FitError, InputError) as error:
        return _Tried(why_not=f"No calibrator could be tried: {error}")
    title = selection.calibrator.describe() if method == selection.chosen else plain
    crossed = replace(crossed, title=crossed.title.replace(plain, title, 1))
    how_fitted = f"cross-fitted in {FOLDS} folds: each row by a fit that did not see it"
    return _Tried(Recalibration(title, how_fitted, method), crossed, selection)


def _methods(asked: Asked, predictions: Predictions) -> Sequence[str] | None:
    """Return names of calibrators, or None for all."""
    if asked.methods == "all":
        return None
    if asked.methods == "quick":
        return QUICK_OF_ONE_COLUMN if predictions.one_column else QUICK
    return [asked.methods] if isinstance(asked.methods, str) else asked.methods


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
        e for e in results.estimates(variant) if e.view == results.view and e.value is not None
    ]
    said, was = results.means(variant)
    label = "after " + results.variants[variant].title.split(" (")[0] if variant else "as given"
    return Curve(
        label=label,
        panel="",
        **vars(points),
        estimates=tuple(errors[:1]),
        rows=results.data.rows,
        said=said,
        was=was,
    )


def _right_and_wrong(results: Results) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the share of all rows that are right, and wrong, in each bin of the confidence."""
    cells = results.problems(0, "top").exact(0).pool(EDGES)
    right, wrong = cells.y / cells.total, (cells.n - cells.y) / cells.total
    return tuple(right.tolist()), tuple(wrong.tolist())
