"""What every calibrator gains: NLL and ECE before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.calibrators.calibrator import require_fit
from calibtool.calibrators.crossfit import FOLDS, cross_fit, numbered
from calibtool.calibrators.fit import fit
from calibtool.calibrators.registry import METHODS, module_of
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, only, whole
from calibtool.diagrams.style import Style
from calibtool.errors import CalibtoolError, FitError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.types import Progress, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = ("NLL", "ECE")
METRICS = ("nll", "ece")
NAMES = ("name", "value", "low", "high", "signature")


@dataclass(frozen=True)
class Gain:
    """A calibrator: its numbers, and how they changed."""

    method: str
    after: tuple[Estimate, ...]
    change: tuple[Estimate, ...]


@dataclass(frozen=True)
class GainDiagram(Drawn):
    """Before and after, for every calibrator; the least NLL first.

    Attributes:
        before: NLL and ECE of the predictions as they are.
        gains: those that could be fitted.
        how: how the rows were kept apart.
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

        def columns(estimates: Sequence[Estimate]) -> dict[str, list[object]]:
            return {name: [getattr(one, name) for one in estimates] for name in NAMES}

        return {
            "data": data_columns(self.data),
            "before": stacked([columns(self.before)]),
            "after": stacked({"method": g.method, **columns(g.after)} for g in self.gains),
            "change": stacked({"method": g.method, **columns(g.change)} for g in self.gains),
        }


def compute(
    predictions: Named,
    *,
    methods: Sequence[str] | None = None,
    test: Predictions | None = None,
    **how: Unpack[How],
) -> GainDiagram:
    """NLL and ECE before and after every calibrator, on rows that it has not seen, paired.

    Args:
        predictions: one set, with labels; cross-fitted in 5 stratified folds unless there is a test
            set.
        methods: names of calibrators, or None for all.
        test: rows to measure on, instead of cross-fitting.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises FitError where not one can be fitted.
    """
    rows = whole(only(predictions))
    require_fit(rows)
    names = list(METHODS if methods is None else dict.fromkeys(methods))
    for name in names:
        module_of(name)
    systems, notes = [Variant()], []
    judged = numbered(rows) if test is None else test
    say: Progress = how.get("progress") or silent
    for done, name in enumerate(names, start=1):
        try:
            systems.append(_system(name, rows, crossed=test is None))
        except CalibtoolError as error:
            notes.append(f"{name} is left out: {error}")
        say("fitting", done / len(names))
    if len(systems) == 1:
        raise FitError(f"no calibrator could be fitted: {'; '.join(notes)}")
    found = evaluate_rows(judged, METRICS, systems, **how)
    gains = [
        Gain(system.title, found.estimates(k), found.change(k))
        for k, system in enumerate(systems)
        if k
    ]
    gains.sort(key=lambda gain: gain.after[0].value if gain.after[0].value is not None else 1e300)
    told = f"cross-fitted in {FOLDS} folds" if test is None else f"fitted on {rows.source}"
    return GainDiagram(
        found.estimates(0),
        tuple(gains),
        told,
        (found.data,),
        found.settings.level,
        tuple(notes),
    )


def _system(name: str, rows: Predictions, *, crossed: bool) -> Variant:
    if not crossed:
        return Variant(fit(name, rows), name)
    _, crossfitted = cross_fit(partial(fit, name), rows, name)
    return Variant(crossfitted, name)


def height(data: GainDiagram, width: float, style: Style) -> float:
    """A line a calibrator."""
    return (9 + 1.75 * len(data.gains)) * style.text / 72


def draw(data: GainDiagram, axes: Axes, style: Style) -> None:
    """NLL to the left, ECE to the right; a line from before to after."""
    place = marks.inside(axes)
    for index, ax in enumerate(place.subplots(1, 2, sharey=True)):
        _panel(ax, data, index, style)
    rows = f"{data.data[0].rows:,} rows, {data.how}"
    level = f"{100 * data.level:g} %"
    marks.foot(
        place,
        style,
        f"Line: before. Bars: {level} intervals. Filled: the change's paired {level} interval "
        f"leaves out 0. {rows}",
    )


def _panel(axes: Axes, data: GainDiagram, index: int, style: Style) -> None:
    before = data.before[index]
    start = before.value or 0.0
    axes.axvline(start, color=style.muted, lw=style.line * 0.7, zorder=1, gid=f"before-{index}")
    low, high = _range(data, index)
    size: dict[str, Any] = {"ms": 0.62 * style.text, "mew": style.line * 0.7, "zorder": 4}
    for y, gain in enumerate(data.gains):
        after, change = gain.after[index], gain.change[index]
        value = after.value
        colour = style.colour(_verdict(change))
        if value is None or not np.isfinite(value) or value > high:
            axes.plot([high], [y], marker=">", color=colour, clip_on=False, **size)
            text = "infinite" if value is None or not np.isfinite(value) else marks.brief(value)
            how: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": style.small * 0.93}
            at: dict[str, Any] = {"xytext": (-0.7 * style.text, 0), "textcoords": "offset points"}
            axes.annotate(text, (high, y), color=style.muted, **at, **how)
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
    axes.set_yticks(range(len(data.gains)), [gain.method for gain in data.gains])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(data.gains) - 0.4, -0.6)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(marks.few_ticks(3))
    axes.set_xlabel(TITLES[index])
    axes.set_title(f"before: {marks.brief(start)}", fontsize=style.small, loc="left")


def _verdict(change: Estimate) -> int:
    """Colour: better 0, worse 1."""
    return 0 if change.value is not None and change.value <= 0 else 1


def _range(data: GainDiagram, index: int) -> tuple[float, float]:
    """From the best, or 0 for an ECE, to somewhat worse than before."""
    start = data.before[index].value or 0.0
    ends = [start]
    for gain in data.gains:
        one = gain.after[index]
        ends += [x for x in (one.low, one.value) if x is not None and np.isfinite(x)]
    low = min(ends)
    if index:
        low = 0.0
    reach = max(start - low, 0.05 * abs(start), 1e-6)
    return low - (0 if index else 0.08 * reach), start + 0.35 * reach
