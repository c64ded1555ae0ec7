"""Gain of every calibrator: NLL and ECE before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import fsum
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, require_fit
from calibtool.calibrators.confidences import as_classes, confidence_methods
from calibtool.calibrators.crossfit import FOLDS, cross_fit, numbered
from calibtool.calibrators.fit import fit
from calibtool.calibrators.processes import in_parts
from calibtool.calibrators.registry import METHODS, finite_options, require_scored
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Variant
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import Parts, columns_of, data_columns, stacked
from calibtool.diagrams.digits import brief
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, only, request
from calibtool.diagrams.options import Option
from calibtool.diagrams.style import Style
from calibtool.errors import CalibtoolError, FitError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.evaluation.execution import Execution
from calibtool.intervals.draws import DRAWING
from calibtool.intervals.estimate import Estimate
from calibtool.parallel import Work, cores, longest_first
from calibtool.types import Progress, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = ("NLL", "ECE")
METRICS = ("nll", "ece")
OF_CONFIDENCES = ("nll(view=top)", "ece")  # the same of confidences alone
MEASURING = "measuring"  # the part of the progress after all fits
NAMES = ("name", "value", "corrected", "low", "high", "signature")


@dataclass(frozen=True)
class Gain:
    """The gain of a calibrator.

    Attributes:
        method: name of the calibrator.
        after: NLL and ECE after it.
        change: after minus before, paired.
    """

    method: str
    after: tuple[Estimate, ...]
    change: tuple[Estimate, ...]


@dataclass(frozen=True)
class GainDiagram(Drawn):
    """NLL and ECE before and after every calibrator, the lowest NLL first.

    Attributes:
        before: NLL and ECE of the predictions as given.
        gains: of the calibrators that could be fitted.
        how: how rows for fitting and rows for measuring were kept apart.
        data: what was measured.
        level: of the intervals.
        notes: those that could not be fitted, and why.
    """

    before: tuple[Estimate, ...]
    gains: tuple[Gain, ...]
    how: str
    data: tuple[DataInfo, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        return {
            "data": data_columns(self.data),
            "before": columns_of(self.before, NAMES),
            "after": stacked(
                {"method": g.method, **columns_of(g.after, NAMES)} for g in self.gains
            ),
            "change": stacked(
                {"method": g.method, **columns_of(g.change, NAMES)} for g in self.gains
            ),
        }


def compute(
    predictions: Named,
    *,
    methods: Annotated[
        Sequence[str] | None,
        Option("Calibrators, separated by commas; by default all.", typed="names"),
    ] = None,
    test: Annotated[
        Predictions | None,
        Option("Measure on this file instead of cross-fitting.", typed="predictions"),
    ] = None,
    **shared: Unpack[SharedOptions],
) -> GainDiagram:
    """Compute NLL and ECE before and after every calibrator, on rows that it was not fitted on.

    Args:
        predictions: one set, with labels; cross-fitted in 5 stratified folds if there is no test
            set.
        methods: names of calibrators, or None for all that can be fitted.
        test: rows to measure on, instead of cross-fitting.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises FitError if no calibrator can be fitted.
    """
    rows = only(predictions).load()
    require_fit(as_classes(rows))
    alone = rows.kind == "confidence"
    able = confidence_methods() if alone else METHODS
    names = list(able if methods is None else dict.fromkeys(methods))
    for name in names:
        require_scored(name)
    variants, notes = [Variant()], list[str]()
    measured = numbered(rows) if test is None else test
    costs = _costs(names, rows, measured, shared, crossed=test is None)
    work = Work(shared.get("progress") or silent, costs)
    attempt = partial(_attempt, rows=rows, crossed=test is None)
    fits = {name: costs[name] for name in names}
    seconds, first = cores() * fsum(fits.values()), longest_first(fits)
    outcomes = dict(zip(first, in_parts(attempt, first, work, seconds), strict=True))
    for name in names:
        outcome = outcomes[name]
        if isinstance(outcome, Variant):
            variants.append(outcome)
        else:
            notes.append(outcome)
    if len(variants) == 1:
        raise FitError(f"no calibrator could be fitted: {'; '.join(notes)}")
    metrics = OF_CONFIDENCES if alone else METRICS
    work.next(MEASURING)
    watched = replace(
        request(measured, metrics, variants, **shared), execution=Execution.of(progress=work)
    )
    results = evaluate_rows(watched)
    gains = [
        Gain(variant.title, results.estimates(k), results.change(k))
        for k, variant in enumerate(variants)
        if k
    ]
    gains.sort(key=lambda gain: gain.after[0].value if gain.after[0].value is not None else 1e300)
    split = f"cross-fitted in {FOLDS} folds" if test is None else f"fitted on {rows.source}"
    return GainDiagram(
        before=results.estimates(0),
        gains=tuple(gains),
        how=split,
        data=(results.data,),
        level=results.settings.level,
        notes=tuple(notes),
    )


def _costs(
    names: Sequence[str],
    rows: Predictions,
    measured: Predictions,
    shared: SharedOptions,
    *,
    crossed: bool,
) -> dict[str, float]:
    """Return about how many seconds the parts take: each fit, and measuring them all."""
    fitted = (FOLDS - 1) * rows.rows if crossed else rows.rows  # in all folds together
    fits = {name: METHODS[name].seconds(fitted, rows.classes) / cores() for name in names}
    drawn = DRAWING * measured.rows * shared.get("resamples", 1000)
    return {**fits, MEASURING: drawn * (len(names) + 1)}


def _attempt(name: str, tell: Progress, *, rows: Predictions, crossed: bool) -> Variant | str:
    """Return the variant of a calibrator, or why it is left out."""
    try:
        return _variant(name, rows, tell, crossed=crossed)
    except CalibtoolError as error:
        return f"{name} is left out: {error}"


def _variant(name: str, rows: Predictions, tell: Progress, *, crossed: bool) -> Variant:
    """Return the calibrator fitted on all rows, or cross-fitted, as `select` does it: without
    probabilities of 0 or 1."""
    options = finite_options(name)
    if not crossed:
        return Variant(fit(name, rows, advise=False, **options), name)
    folds = count(1)

    def fit_fold(part: Predictions) -> Calibrator:
        calibrator = fit(name, part, advise=False, **options)
        tell(f"fitting {name}", next(folds) / FOLDS)
        return calibrator

    _, crossfitted = cross_fit(fit_fold, rows, name)
    return Variant(crossfitted, name)


def height(data: GainDiagram, width: float, style: Style) -> float:
    """Return the height of the panels in inches: one line per calibrator."""
    return 1.9 * len(data.gains) * style.text / 72


def draw(data: GainDiagram, axes: Axes, style: Style) -> None:
    """Draw NLL to the left and ECE to the right, with a line from before to after."""
    place = panels.inside(axes)
    for index, ax in enumerate(place.subplots(1, 2, sharey=True)):
        _panel(ax, data, index, style)
    rows = f"{data.data[0].rows:,} rows, {data.how}"
    level = f"{100 * data.level:g} %"
    marks.foot(
        place,
        style,
        f"Line: before. Bars: {level} intervals. Filled: the change's paired {level} interval "
        f"excludes 0. {rows}",
    )


def _panel(axes: Axes, data: GainDiagram, index: int, style: Style) -> None:
    before = data.before[index]
    low, high = _range(data, index)
    first = before.best or 0.0
    start = first if np.isfinite(first) else high
    if np.isfinite(first):
        gid = f"before-{index}"
        axes.axvline(first, color=style.muted, lw=style.line * 0.7, zorder=1, gid=gid)
    size: dict[str, Any] = {"ms": 0.62 * style.text, "mew": style.line * 0.7, "zorder": 4}
    for y, gain in enumerate(data.gains):
        after, change = gain.after[index], gain.change[index]
        value = after.best
        colour = style.colour(_series(change))
        if value is None or not np.isfinite(value) or value > high:
            axes.plot([high], [y], marker=">", color=colour, clip_on=False, **size)
            text = "infinite" if value is None else _brief(value)
            font: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": style.small * 0.93}
            shift: dict[str, Any] = {
                "xytext": (-0.7 * style.text, 0),
                "textcoords": "offset points",
            }
            axes.annotate(text, (high, y), color=style.muted, **shift, **font)
            continue
        axes.plot([start, value], [y, y], color=style.faint, lw=style.line * 1.6, zorder=1.5)
        if after.low is not None and after.high is not None:
            axes.plot(
                [after.low, after.high],
                [y, y],
                color=colour,
                lw=style.line * 0.9,
                gid=f"bars-{index}-{y}",
            )
        sure = change.low is not None and (change.low > 0 or (change.high or 0.0) < 0)
        face = colour if sure else style.paper
        axes.plot([value], [y], "o", mfc=face, mec=colour, gid=f"point-{index}-{y}", **size)
    axes.set_yticks(range(len(data.gains)), [style.named(gain.method) for gain in data.gains])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(data.gains) - 0.4, -0.6)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(marks.few_ticks(3))
    shown = "" if before.best == before.value else ", corrected"
    axes.set_xlabel(f"{TITLES[index]}{shown}")
    marks.header(axes, style, [f"before: {_brief(first)}"], small=True)


def _brief(value: float) -> str:
    return brief(value) if np.isfinite(value) else "infinite"


def _series(change: Estimate) -> int:
    """Return the number of the colour: 0 for better, 1 for worse."""
    return 0 if change.best is not None and change.best <= 0 else 1


def _range(data: GainDiagram, index: int) -> tuple[float, float]:
    """Return the ends of an axis: from the best, or 0 for ECE, to somewhat worse than before.

    Where it was infinite before, the axis ends to the right of the worst.
    """
    start, ends = data.before[index].best or 0.0, []
    for gain in data.gains:
        after = gain.after[index]
        ends += [x for x in (after.low, after.best) if x is not None and np.isfinite(x)]
    if not np.isfinite(start):
        start = max(ends, default=1.0)
    low = min(start, *ends) if ends else start
    if index:
        low = 0.0
    reach = max(start - low, 0.05 * abs(start), 1e-6)
    return low - (0 if index else 0.08 * reach), start + 0.35 * reach
