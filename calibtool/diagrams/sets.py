"""Prediction sets: how large they are, and where they cover less than they promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.decisions.prediction_sets import PredictionSets
from calibtool.decisions.set_report import SetReport, SetSlice, evaluate_sets
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import Parts, columns_of, data_columns, numbers, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, with_classes
from calibtool.diagrams.lines import Lines, lines_of
from calibtool.diagrams.options import Option, Top
from calibtool.diagrams.style import DOTTED, Style
from calibtool.errors import UsageError
from calibtool.formatting import counted, percent
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Sizes whose shares are written above their bars: of more, the texts of a column would meet.
WRITTEN = 9
RESAMPLING = ("resamples", "level", "seed")  # of the shared options; coverage brings its own method


@dataclass(frozen=True, eq=False)
class Sets(Drawn):
    """Prediction sets on the same rows: one rule, or several.

    Attributes:
        reports: what each rule does.
        slices: of the only rule, the classes that are drawn, those covered least first, or the
            sizes; empty for several rules.
        data: what was read.
        level: of the intervals.
        by: "class" or "size".
        notes: what was left out, in words.
    """

    reports: tuple[SetReport, ...]
    slices: tuple[SetSlice, ...]
    data: tuple[DataInfo, ...]
    level: float
    by: str
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        return {
            "data": data_columns(self.data),
            "sets": stacked(
                {
                    "sets": report.sets,
                    "promised": report.promised,
                    **_coverage((report.whole,)),
                    "size": report.size.value,
                    "size_low": report.size.low,
                    "size_high": report.size.high,
                }
                for report in self.reports
            ),
            "size": stacked(
                {"sets": report.sets, **_slices(report.sizes), "share": _shares(report)}
                for report in self.reports
            ),
            "slice": {"by": [part.by for part in self.slices], **_slices(self.slices)},
        }


def compute(
    predictions: Named,
    sets: Annotated[
        Sequence[PredictionSets],
        Option("File of prediction sets; several draw coverage and size.", typed="sets"),
    ],
    *,
    by: Annotated[
        Literal["class", "size"], Option("Coverage of the rows of each class, or size of set.")
    ] = "class",
    top: Top = 20,
    **shared: Unpack[SharedOptions],
) -> Sets:
    """Compute the sizes of prediction sets, and their coverage by class or by size.

    Args:
        predictions: one set, with labels; other rows than those that set the thresholds.
        sets: one rule, for its sizes and its coverage by `by`; or several, for the coverage and
            the mean size of each beside its promise.
        by: "class" or "size" (size-stratified coverage, Angelopoulos et al. 2021).
        top: largest number of classes; of more, those covered least.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.
    """
    rules = [sets] if isinstance(sets, PredictionSets) else list(sets)
    if not rules:
        raise UsageError("there are no prediction sets to draw; give --sets JSON")
    rows = with_classes(predictions, "a diagram of prediction sets").load()
    how: dict[str, Any] = {name: shared[name] for name in RESAMPLING if name in shared}  # type: ignore[literal-required]
    reports = tuple(evaluate_sets(rows, rule, **how) for rule in rules)
    first = reports[0]
    slices: tuple[SetSlice, ...] = ()
    notes: tuple[str, ...] = ()
    if len(reports) == 1:
        slices = first.sizes if by == "size" else _worst(first.classes, top)
        if by == "class" and len(slices) < len(first.classes):
            notes = (f"{top} of {len(first.classes):,} classes are drawn: those covered least",)
    return Sets(reports, slices, (DataInfo.of(rows),), first.level, by, notes)


def _worst(classes: Sequence[SetSlice], top: int) -> tuple[SetSlice, ...]:
    return tuple(sorted(classes, key=lambda part: float(part.coverage.value or 0))[:top])


def _coverage(slices: Sequence[SetSlice]) -> dict[str, list[Any]]:
    estimates = [part.coverage for part in slices]
    columns = columns_of(estimates, ("value", "low", "high"))
    return {"coverage": columns["value"], "low": columns["low"], "high": columns["high"]}


def _slices(slices: Sequence[SetSlice]) -> dict[str, list[Any]]:
    return columns_of(slices, ("name", "rows")) | _coverage(slices)


def _shares(report: SetReport) -> Array:
    """Return the share of the rows whose set has each size."""
    return numbers(report.sizes, "rows") / report.data.rows


def height(data: Sets, width: float, style: Style) -> float:
    """Return the height of both panels in inches, of which one may have a line per class."""
    if len(data.reports) > 1:
        return 0.95 * width
    return sum(_heights(data, width, style))


def _heights(data: Sets, width: float, style: Style) -> tuple[float, float]:
    """Return the heights of sizes and of coverage in inches."""
    tall = 0.42 * width
    return tall, _lines(data, width, style).height if data.by == "class" else tall


def _lines(data: Sets, width: float, style: Style) -> Lines:
    """Return the lines of the classes: their names, and their rows."""
    names = [marks.long_name(part.name, 18) for part in data.slices]
    return lines_of(names, [counted(part.rows, "row") for part in data.slices], width, style)


def draw(data: Sets, axes: Axes, style: Style) -> None:
    """Draw sizes above and coverages below; of several rules, coverage above and size below."""
    place = panels.inside(axes)
    if len(data.reports) > 1:
        upper, lower = place.subplots(2, 1, sharex=True)
        _curves(upper, lower, data, style)
        marks.foot(
            place,
            style,
            f"Bars: {100 * data.level:g} % intervals; n = {data.data[0].rows:,}",
        )
        return
    ratios = _heights(data, float(place.bbox.width / place.dpi), style)
    upper, lower = place.subplots(2, 1, height_ratios=ratios)
    _sizes(upper, data.reports[0], style)
    if data.by == "class":
        _by_class(lower, data, style)
    else:
        _by_size(lower, data, style)
    marks.foot(
        place, style, f"Bars: {100 * data.level:g} % intervals. Dotted: the coverage promised"
    )


def _sizes(axes: Axes, report: SetReport, style: Style) -> None:
    """Draw the share of rows by the size of their set."""
    share = _shares(report)
    at = np.arange(len(share))
    bars = axes.bar(at, share, 0.72, color=style.colour(0), alpha=0.85, lw=0)
    for k, bar in enumerate(bars):
        bar.set_gid(f"share-{k}")
    for k, value in enumerate(share if len(share) <= WRITTEN else ()):
        axes.annotate(
            percent(float(value), 0 if value >= 0.1 else 1),
            (k, value),
            xytext=(0, 0.2 * style.text),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=style.small * 0.93,
            color=style.muted,
        )
    axes.set_ylim(0, 1.18 * float(share.max()))
    _name_sizes(axes, report.sizes)
    axes.yaxis.set_major_locator(marks.few_ticks(4))
    marks.percent_axis(axes)
    axes.set_ylabel("Rows")
    covered = marks.estimate_text(report.whole.coverage)
    marks.header(axes, style, [covered, marks.estimate_text(report.size)])


def _name_sizes(axes: Axes, sizes: Sequence[SetSlice]) -> None:
    """Name the sizes along the axis, upright where there are ranges, which are wide."""
    names = [part.name.replace(" to ", "\N{EN DASH}") for part in sizes]
    wide = max(map(len, names)) * len(names) > 4 * WRITTEN
    axes.set_xticks(range(len(names)), names, rotation=90 if wide else 0)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xlabel("Classes in the set")


def _by_class(axes: Axes, data: Sets, style: Style) -> None:
    """Draw the coverage of each class as a point with its interval, one line per class."""
    value, low, high = _points(data.slices)
    at = np.arange(len(value))
    look: dict[str, Any] = {"color": style.colour(0), "lw": style.line * 0.9}
    for y in at.tolist():
        if np.isfinite(low[y]):
            axes.plot([low[y], high[y]], [y, y], gid=f"bars-{y}", **look)
    axes.plot(value, at, ls="", gid="points-0", **_marker(style))
    promised = data.reports[0].promised
    axes.axvline(promised, color=style.muted, lw=style.line * 0.7, ls=DOTTED, gid="promise")
    _lines(data, marks.width_of(axes), style).draw(axes, style)
    least = min(float(np.nanmin(np.append(low, value))), promised)
    axes.set_xlim(max(0.0, least - 0.03), 1.0 + 0.01 * (1 - least))
    axes.xaxis.set_major_locator(marks.few_ticks(4))
    marks.percent_axis(axes, which="x")
    axes.set_xlabel("Coverage")
    axes.set_ylabel("Class")


def _by_size(axes: Axes, data: Sets, style: Style) -> None:
    """Draw the coverage of the sets of each size as a point with its interval."""
    value, low, high = _points(data.slices)
    at = np.arange(len(value))
    thin = style.line * 0.9
    marks.bars(axes, at, low, high, colour=style.colour(0), width=thin, gid="bars-0")
    axes.plot(at, value, ls="", clip_on=False, gid="points-0", **_marker(style))
    promised = data.reports[0].promised
    axes.axhline(promised, color=style.muted, lw=style.line * 0.7, ls=DOTTED, gid="promise")
    _name_sizes(axes, data.slices)
    axes.set_ylim(0, 1)
    marks.percent_axis(axes)
    axes.set_ylabel("Coverage")


def _curves(upper: Axes, lower: Axes, data: Sets, style: Style) -> None:
    """Draw coverage and mean size against the coverage promised, a curve per method."""
    curves: dict[str, list[SetReport]] = {}
    for report in sorted(data.reports, key=lambda report: report.promised):
        curves.setdefault(_method(report), []).append(report)
    handles = []
    for index, reports in enumerate(curves.values()):
        x = numbers(reports, "promised")
        look: dict[str, Any] = {
            **_marker(style),
            "color": style.colour(index),
            "marker": style.marker(index),
            "ls": style.dash(index),
            "lw": style.line,
            "gid": f"curve-{index}",
        }
        value, low, high = _points([report.whole for report in reports])
        sizes = [report.size for report in reports]
        thin: dict[str, Any] = {"colour": style.colour(index), "width": style.line * 0.8}
        marks.bars(upper, x, low, high, gid=f"bars-{index}", **thin)
        handles += upper.plot(x, value, **look)
        ends = numbers(sizes, "low"), numbers(sizes, "high")
        marks.bars(lower, x, *ends, gid=f"bars-{len(curves) + index}", **thin)
        lower.plot(x, numbers(sizes, "value"), **{**look, "gid": f"curve-{len(curves) + index}"})
    promised = np.unique([report.promised for report in data.reports])
    marks.diagonal(upper, style, promised)
    if len(curves) > 1:
        marks.key(upper, style, handles, list(curves))
    for axes, title in ((upper, "Coverage"), (lower, "Mean size")):
        axes.set_ylabel(title)
        axes.yaxis.set_major_locator(marks.few_ticks(4))
    marks.percent_axis(upper)
    marks.percent_axis(lower, which="x")
    lower.set_ylim(0, None)
    lower.xaxis.set_major_locator(marks.few_ticks(5))
    lower.set_xlabel("Coverage promised")


def _method(report: SetReport) -> str:
    """Return how a rule differs from others: what it promises, and its method."""
    each = " of each class" if report.per_class else ""
    return report.sets.partition(" by ")[2] + each


def _points(slices: Sequence[SetSlice]) -> tuple[Array, Array, Array]:
    estimates = [part.coverage for part in slices]
    value, low, high = (numbers(estimates, name) for name in ("value", "low", "high"))
    return value, low, high


def _marker(style: Style) -> dict[str, Any]:
    """Return the look of points."""
    return {
        "marker": "o",
        "color": style.colour(0),
        "ms": 0.6 * style.text,
        "mec": style.paper,
        "mew": style.line * 0.3,
        "zorder": 4,
    }
