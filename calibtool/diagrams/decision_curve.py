"""Decision curves: the net benefit of acting on the scores, against the threshold of acting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable, Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import (
    Named,
    SharedOptions,
    named,
    request,
    require_two_classes,
    shared_names,
    with_calibrators,
)
from calibtool.diagrams.options import Calibrators, Option
from calibtool.diagrams.style import DOTTED, Style
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.evaluate import evaluate_variants
from calibtool.evaluation.results import Results
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 100  # thresholds of a curve: steps finer than a line is wide
# By default curves end where fewer than this share of the rows score higher, but not below twice
# the outcome rate, where the curve of acting on everybody has long fallen below 0.
RARE = 0.01
UNIT = 0.05  # thresholds end at a multiple of it: 100 steps then meet every per cent or half of one
LAST = 0.99  # beyond it a false positive costs more than 99 true ones are worth
RANGE = re.compile(r"\s*(\d*\.?\d+)\s*(?:-|to|,)\s*(\d*\.?\d+)\s*")
Thresholds = Annotated[
    str | None,
    Option(
        "Smallest and largest threshold, such as 0.05-0.3; by default from 0 to one that hardly "
        "any row reaches."
    ),
]
Standardised = Annotated[bool, Option("Divide by the outcome rate, so that it is at most 1.")]


@dataclass(frozen=True, eq=False)
class Benefit:
    """The curve of one variant.

    Attributes:
        label: name of the curve.
        value: (T,) net benefit at each threshold.
        low, high: (T,) its interval at each threshold.
    """

    label: str
    value: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Everybody:
    """The curve of acting on every row.

    Attributes:
        label: the set of predictions whose outcome rate it is of; "" for that of all.
        rate: the outcome rate.
        value: (T,) net benefit at each threshold.
    """

    label: str
    rate: float
    value: Array


@dataclass(frozen=True, eq=False)
class DecisionCurve(Drawn):
    """Net benefit against the threshold.

    Attributes:
        curves: one per variant.
        everybody: of acting on every row, one per outcome rate.
        data: what was read, one entry per set of predictions.
        level: of the intervals.
        thresholds: (T,) where the curves are computed.
        standardised: whether net benefits are divided by the outcome rate.
        notes: what was left out, in words.
        class_names: of the two classes, if they have names.
    """

    curves: tuple[Benefit, ...]
    everybody: tuple[Everybody, ...]
    data: tuple[DataInfo, ...]
    level: float
    thresholds: Array
    standardised: bool
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        at = {"threshold": self.thresholds}
        return {
            "data": data_columns(self.data),
            "curve": stacked(
                {"curve": c.label, **at, "net_benefit": c.value, "low": c.low, "high": c.high}
                for c in self.curves
            ),
            "everybody": stacked(
                {"curve": c.label, "rate": c.rate, **at, "net_benefit": c.value}
                for c in self.everybody
            ),
        }


def compute(
    predictions: Named,
    *,
    calibrators: Calibrators = (),
    thresholds: Thresholds = None,
    standardised: Standardised = False,
    **shared: Unpack[SharedOptions],
) -> DecisionCurve:
    """Compute decision curves (Vickers & Elkin 2006).

    Args:
        predictions: one set, or several by name, of two classes.
        calibrators: the predictions after each of these are drawn as well.
        thresholds: the smallest and the largest, such as "0.05-0.3"; by default from 0 to one that
            hardly any row reaches.
        standardised: divide net benefits by the outcome rate.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError for more than two classes, InputError for cells.
    """
    sets = named(predictions)
    for rows in sets.values():
        require_two_classes(rows, "a decision curve")
    variants = with_calibrators(calibrators)
    ends = _range(thresholds) if thresholds else (0.0, _last(sets, variants))
    at = np.round(ends[0] + (ends[1] - ends[0]) * np.arange(STEPS + 1) / STEPS, 12)
    curves: list[Benefit] = []
    everybody: dict[float, Everybody] = {}
    data = []
    for name, rows in sets.items():
        results = evaluate_variants(request(rows, _specs(at, standardised), variants, **shared))
        data.append(results.data)
        rate = results.means()[1]
        treated = Everybody(name, rate, _of_everybody(rate, at, standardised))
        everybody.setdefault(round(rate, 12), treated)
        for number, variant in enumerate(variants):
            title = variant.title or "as given"
            label = title if len(sets) == 1 else f"{name}, {title}"
            label = name if len(variants) == 1 else label
            curves.append(_of_variant(results, number, label))
    every = tuple(everybody.values())
    return DecisionCurve(
        tuple(curves),
        every if len(every) > 1 else (replace(every[0], label=""),),
        tuple(data),
        results.settings.level,
        at,
        standardised,
        class_names=shared_names(*sets.values()),
    )


def _specs(thresholds: Array, standardised: bool = False) -> list[str]:
    """Return the metrics that a decision curve consists of: one for each threshold."""
    scale = ",scale=standardised" if standardised else ""
    return [f"net-benefit(threshold={t!r},view=positive{scale})" for t in thresholds.tolist()]


def _of_variant(results: Results, number: int, label: str) -> Benefit:
    """Return the curve of one of several variants, from the net benefits that were measured."""
    estimates = results.estimates(number)
    missing = next((e.missing for e in estimates if e.missing), "")
    if missing:  # of a cells file, or standardised without a row of class 1
        why = "cells end at few thresholds; draw it from rows" if "cells" in missing else missing
        raise InputError(f"{results.data.source}: no decision curve: {why}")
    return Benefit(label, *(_column(estimates, x) for x in ("value", "low", "high")))


def _column(estimates: Sequence[Estimate], name: str) -> Array:
    """Return an attribute of each estimate, NaN where it is None."""
    return np.array([getattr(e, name) for e in estimates], np.float64)


def _of_everybody(rate: float, at: Array, standardised: bool) -> Array:
    """Return the net benefit of acting on every row: rate - (1 - rate) t/(1 - t)."""
    net = rate - (1 - rate) * at / (1 - at)
    return net / rate if standardised and rate > 0 else net


def _range(text: str) -> tuple[float, float]:
    """Return the ends of the thresholds.

    >>> _range("0.05-0.3")
    (0.05, 0.3)
    """
    match = RANGE.fullmatch(text)
    low, high = (float(match[1]), float(match[2])) if match else (1.0, 0.0)
    if not 0 <= low < high < 1:
        raise UsageError(
            f"--thresholds {text!r}: give the smallest and the largest, at least 0 and below 1, "
            "such as 0.05-0.3"
        )
    return low, high


def _last(sets: dict[str, Readable], variants: Sequence[Variant]) -> float:
    """Return the largest threshold that is drawn by default."""
    last = UNIT
    for rows in sets.values():
        found = evaluate_variants(request(rows, ["auroc"], variants, ci="none"))
        for number in range(len(variants)):
            last = max(last, last_of(found.problems(number, "positive").exact(0)))
    return last


def last_of(cells: Cells) -> float:
    """Return the largest threshold that is drawn of these scores by default.

    >>> last_of(Cells.from_rows(np.linspace(0, 0.31, 500), np.arange(500) % 10 == 0))
    0.35
    """
    above = cells.total - np.cumsum(cells.n)
    seldom = float(cells.at[np.argmax(above <= RARE * cells.total)])
    often = 2 * float(cells.y.sum() / cells.total)
    return min(round(float(np.ceil(max(seldom, often) / UNIT - 1e-9)) * UNIT, 9), LAST)


def height(data: DecisionCurve, width: float, style: Style) -> float:
    """Return the height of the panel in inches: less than the width."""
    return 0.6 * width


def draw(data: DecisionCurve, axes: Axes, style: Style) -> None:
    """Draw a line per variant, that of acting on everybody, and 0, that of acting on nobody."""
    from matplotlib.lines import Line2D

    at, handles, labels = data.thresholds, [], []
    with_intervals = len(data.curves) <= marks.WITH_INTERVALS
    for index, curve in enumerate(data.curves):
        colour = style.colour(index)
        if with_intervals:
            band = (at, curve.low, curve.high)
            marks.band(axes, *band, colour=colour, gid=f"band-{index}")
        look: dict[str, Any] = {"color": colour, "lw": style.line, "ls": style.dash(index)}
        axes.plot(at, curve.value, zorder=4, gid=f"curve-{index}", **look)
        handles.append(Line2D([], [], **look))
        labels.append(curve.label)
    for index, all_ in enumerate(data.everybody):
        look = {"color": style.muted, "lw": style.line * 0.8, "ls": DOTTED if index else "--"}
        axes.plot(at, all_.value, zorder=2.5, gid=f"everybody-{index}", **look)
        handles.append(Line2D([], [], **look))
        labels.append(f"act on everybody, {all_.label}" if all_.label else "act on everybody")
    look = {"color": style.muted, "lw": style.line * 0.6, "ls": "-"}
    axes.axhline(0, zorder=2, gid="nobody", **look)
    handles.append(Line2D([], [], **look))
    labels.append("act on nobody")
    _frame(data, axes)
    marks.key(axes, style, handles, labels)
    told = f"Colour: {100 * data.level:g} % intervals of each point; " if with_intervals else ""
    rows = ", ".join(f"{info.rows:,}" for info in data.data[:3])
    rates = ", ".join(f"{100 * of.rate:.3g} %" for of in data.everybody[:3])
    marks.small_print(axes, style, data.named(f"{told}n = {rows}; {rates} are class 1"))


def _frame(data: DecisionCurve, axes: Axes) -> None:
    """Set the axes: what lies far below 0 is no use to anybody, and is cut off."""
    low, high = limits(data.curves, data.everybody)
    axes.set_ylim(low, high)
    axes.set_xlim(float(data.thresholds[0]), float(data.thresholds[-1]))
    marks.percent_axis(axes, which="x")
    axes.set_xlabel("Threshold: act if P(class 1) is at least")
    per = " / share of class 1" if data.standardised else ""
    axes.set_ylabel(f"Net benefit{per}")
    axes.yaxis.set_major_locator(marks.few_ticks(6))


def limits(curves: Sequence[Benefit], everybody: Sequence[Everybody]) -> tuple[float, float]:
    """Return the ends of the axis of net benefit: a little below 0, a little above the highest."""
    tops = [float(np.nanmax(c.value)) for c in curves]
    tops += [float(np.nanmax(c.high)) for c in curves if np.isfinite(c.high).any()]
    tops += [float(np.nanmax(e.value)) for e in everybody]
    top = max(*tops, 1e-6)
    return -0.15 * top, 1.06 * top
