"""The section of a page on a clinical prediction model: its table and its four panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from calibtool.diagrams import decision_curve
from calibtool.diagrams.curve import Curve
from calibtool.diagrams.decision_curve import DecisionCurve
from calibtool.diagrams.marks import long_name
from calibtool.diagrams.outcomes import Outcomes, Side
from calibtool.formatting import interval, number, share
from calibtool.intervals.estimate import Estimate
from calibtool.reports.evaluation import in_words
from calibtool.reports.page import tables
from calibtool.reports.page.figures import LONGEST, step_of
from calibtool.reports.page.markup import Markup, element
from calibtool.reports.page.model import FileSummary, Page
from calibtool.reports.page.svg import (
    FOOT,
    LEFT,
    SIDE,
    TICKS,
    TOP,
    across,
    box,
    label,
    line,
    picture,
    target,
    tenth,
    up,
    visible,
)
from calibtool.types import Array

# Heights in the units of `svg`: of the strip of the AUROC, of the decision curves, and of the
# longer half of the histograms.
STRIP, CURVE, HALF = 60.0, 280.0, 110.0
DASHED = {"stroke_dasharray": "7 4"}  # the lines after a calibrator
TARGETS = 10  # places of a figure that can be pointed at
MIDDLE = {"anchor": "middle", "class_": "tick"}
Naming: TypeAlias = Callable[[str], str]  # of classes, in a text about class 1 and class 0
Place: TypeAlias = Callable[[float, float], tuple[float, float]]  # of a point in the figure
# what is to be read, and what is not
TABLE = (
    "Calibration in the large and the O:E ratio tell whether P(class 1) is right on average, the "
    "slope whether it is too extreme (below 1) or too moderate. Net benefit is in true positives "
    "per row: act on rows whose P(class 1) is at least the threshold, and every false positive "
    "costs threshold / (1 - threshold) true ones. Compare it with that of acting on everybody "
    "(of=all) and with 0, that of acting on nobody."
)
FIGURES = (
    "Solid: as given; dashed: after the calibrator. Shaded: {} % intervals, of each point by "
    "itself. A threshold is chosen by what a false positive costs, not by where a curve is highest."
)


def about(page: Page, subject: FileSummary, pointing: Sequence[Markup]) -> list[Markup]:
    """Return the table, and the four panels that Van Calster et al. 2025 call essential, below
    `pointing`, how to read their numbers."""
    clinical = subject.clinical
    assert clinical is not None
    said = partial(subject.named, longest=LONGEST)
    auroc, ici = (next(e for e in clinical.estimates if e.name == x) for x in ("auroc", "ici"))
    drawn = [
        _figure("Calibration", f"ICI {in_words(ici)}", calibration(clinical.calibration, said)),
        _figure(
            "Net benefit", "dashed grey: acting on everybody", decision(clinical.decision, said)
        ),
        _figure(
            "Probabilities by outcome",
            _sides(subject),
            by_outcome(clinical.outcomes, said),
        ),
        _figure("Discrimination", f"AUROC {in_words(auroc)}", discrimination(auroc)),
    ]
    level = f"{100 * (page.level or 0.95):g}"
    return [
        tables.metrics(clinical.estimates, page.level, label="Clinical use"),
        element("p", subject.named(TABLE), class_="note"),
        *pointing,
        element("div", *drawn, class_="figures-row four"),
        element("p", FIGURES.format(level), class_="note"),
    ]


def _figure(title: str, caption: str, drawn: Markup) -> Markup:
    return element("figure", element("figcaption", element("strong", title), caption), drawn)


def discrimination(auroc: Estimate) -> Markup:
    """Return the AUROC on a line from 0.5, chance, to 1; from 0 where it is worse than chance."""
    least = min((x for x in (auroc.value, auroc.low) if x is not None), default=0.5)
    start = 0.5 if least >= 0.5 else 0.0
    middle, bottom = TOP + STRIP / 2, TOP + STRIP

    def at(value: float) -> float:
        return across((value - start) / (1 - start))

    marks = []
    if auroc.low is not None and auroc.high is not None:
        ends = line(at(auroc.low), middle, at(auroc.high), middle)
        marks.append(element("line", class_="whisker", **ends))
    if auroc.value is not None:
        marks.append(_dot(at(auroc.value), middle))
    words = "AUROC: 0.5 is chance, 1 a perfect order"
    lines = (f"AUROC {in_words(auroc)}" if auroc.value is not None else auroc.missing, "")
    return picture(
        bottom + FOOT,
        lines[0],
        element("line", class_="axis", **line(across(0), bottom, across(1), bottom)),
        *_ticks(bottom, 1.0, start),
        label(across(0.5), bottom + 38, words, anchor="middle"),
        target(0, 1, TOP, bottom, marks, lines),
    )


def calibration(curves: Sequence[Curve], said: Naming) -> Markup:
    """Return the local regressions of the outcome on P(class 1), and the diagonal."""
    bottom = TOP + SIDE
    first = curves[0]
    frame = [
        *_ticks(bottom, 1.0),
        label(across(0.5), bottom + 38, said("P(class 1)"), anchor="middle"),
        *_sideways(said("Frequency of class 1"), up(0.5)),
    ]
    for t in TICKS:
        frame.append(element("line", class_="grid", **line(across(0), up(t), across(1), up(t))))
        frame.append(label(LEFT - 6, up(t) + 5, f"{t:g}", anchor="end", class_="tick"))

    def at(x: float, y: float) -> tuple[float, float]:
        return tenth(across(x)), tenth(up(min(max(y, 0.0), 1.0)))

    marks = [
        *_band(first.score, first.low, first.high, at),
        element("line", class_="diagonal", **line(across(0), up(0), across(1), up(1))),
        *_lines([(c.score, c.outcome) for c in curves], at),
    ]
    bins = []
    for k in range(TARGETS):
        low, high = k / TARGETS, (k + 1) / TARGETS
        inside = (first.score >= low) & (first.score <= high) & np.isfinite(first.outcome)
        if not inside.any():
            continue
        x = float(np.median(first.score[inside]))
        y = [float(np.interp(x, c.score, c.outcome)) for c in curves]
        ends = [float(np.interp(x, first.score, side)) for side in (first.low, first.high)]
        lines = (
            said(f"P(class 1) {number(x)}: frequency {number(y[0])}"),
            f"{_ends(*ends)}{_after(y)}".lstrip("; "),
        )
        bins.append(target(low, high, TOP, bottom, [_dot(*at(x, y[0]))], lines))
    words = said("Calibration plot: frequency of class 1 against P(class 1), smoothed.")
    return picture(bottom + FOOT, words, *frame, *marks, *bins)


def decision(data: DecisionCurve, said: Naming) -> Markup:
    """Return net benefit against the threshold."""
    low, high = decision_curve.limits(data.curves, data.everybody)
    bottom = TOP + CURVE
    first, last = float(data.thresholds[0]), float(data.thresholds[-1])

    def at(threshold: float, benefit: float) -> tuple[float, float]:
        inside = min(max(benefit, low), high)
        return (
            tenth(across((threshold - first) / (last - first))),
            tenth(bottom - CURVE * (inside - low) / (high - low)),
        )

    step = step_of(high)
    frame = [
        *_ticks(bottom, last, first),
        label(across(0.5), bottom + 38, said("Threshold of P(class 1)"), anchor="middle"),
    ]
    for k in range(int(np.floor(high / step + 1e-9)) + 1):
        y = at(first, k * step)[1]
        kind = "grid" if k else "axis"
        frame.append(element("line", class_=kind, **line(across(0), y, across(1), y)))
        frame.append(label(LEFT - 6, y + 5, f"{k * step:g}", anchor="end", class_="tick"))
    model, *others = (np.where(c.value >= low, c.value, np.nan) for c in data.curves)
    everybody = np.where(data.everybody[0].value >= low, data.everybody[0].value, np.nan)
    marks = [
        *_band(data.thresholds, data.curves[0].low, data.curves[0].high, at),
        element("path", class_="diagonal", d=_path(data.thresholds, everybody, at)),
        *_lines([(data.thresholds, value) for value in (model, *others)], at),
    ]
    words = f"Decision curve: net benefit against thresholds from {first:g} to {last:g}."
    return picture(bottom + FOOT, words, *frame, *marks, *_thresholds(data, at, low, bottom))


def _thresholds(data: DecisionCurve, at: Place, low: float, bottom: float) -> list[Markup]:
    """Return the places of a decision curve that can be pointed at."""
    bins = []
    steps = len(data.thresholds) - 1
    for k in range(TARGETS):
        index = (2 * k + 1) * steps // (2 * TARGETS)
        x, model = float(data.thresholds[index]), data.curves[0]
        values = [float(c.value[index]) for c in data.curves]
        lines = (
            f"At {share(x)}: {number(values[0])} {_ends(model.low[index], model.high[index])}",
            f"everybody {number(float(data.everybody[0].value[index]))}{_after(values)}",
        )
        seen = [_dot(*at(x, values[0]))] if values[0] >= low else []
        bins.append(target(k / TARGETS, (k + 1) / TARGETS, TOP, bottom, seen, lines))
    return bins


def by_outcome(data: Outcomes, said: Naming) -> Markup:
    """Return the histograms of P(class 1): of class 1 upwards, of class 0 downwards."""
    above, below = data.sides
    most = max(float(above.mass.max()), float(below.mass.max()), 1e-12)
    middle = TOP + max(HALF * float(above.mass.max()) / most, 24) + 8
    bottom = middle + max(HALF * float(below.mass.max()) / most, 24) + 8
    end = float(data.edges[-1])
    frame = [
        element("line", class_="axis", **line(across(0), middle, across(1), middle)),
        label(LEFT - 6, middle - 8, _short(said, "class 1"), anchor="end", class_="tick"),
        label(LEFT - 6, middle + 16, _short(said, "class 0"), anchor="end", class_="tick"),
        *_ticks(bottom, end),
        label(across(0.5), bottom + 38, said("P(class 1)"), anchor="middle"),
    ]
    bins = []
    for k in range(len(above.mass)):
        up_, down = float(above.mass[k]), float(below.mass[k])
        if not up_ + down:
            continue
        left, right = float(data.edges[k]) / end, float(data.edges[k + 1]) / end
        tall, deep = (visible(HALF * x / most, x) for x in (up_, down))
        lines = (
            said(f"P(class 1) {data.edges[k]:.3g} to {data.edges[k + 1]:.3g}:"),
            said(f"{share(up_)} of class 1, {share(down)} of class 0"),
        )
        marks = [
            box("right", left, right, middle - tall, tall),
            box("wrong", left, right, middle, deep),
        ]
        bins.append(target(left, right, TOP, bottom, marks, lines))
    words = f"P(class 1) of rows of class 1 and of class 0. {_mean(above)}; {_mean(below)}."
    return picture(bottom + FOOT, said(words), *frame, *bins)


def _sides(subject: FileSummary) -> str:
    """Return which histogram is of which class, whose names may be too long for the margin."""
    text = "up: rows of class 1; down: rows of class 0"
    return "" if (shown := subject.named(text)) == text else shown


def _short(said: Naming, class_: str) -> str:
    """Return a class as the margin has room for it: its name alone, if it has one."""
    shown = said(class_)
    if shown == class_:
        return shown
    first, _, name = shown.partition(" ")  # "class", and a name; or "with", and what of
    if first != "class":
        return first
    return name if len(name) <= len(class_) else long_name(name, len(class_) - 1)


def _mean(side: Side) -> str:
    return f"{side.label}: mean {number(side.mean)}" if side.share else f"{side.label}: none"


def _ticks(bottom: float, end: float, start: float = 0.0) -> list[Markup]:
    """Return round numbers below a figure whose axis runs from `start` to `end`."""
    step = step_of(end - start)
    first = int(np.ceil(start / step - 1e-9))
    at = [k * step for k in range(first, int(np.floor(end / step + 1e-9)) + 1)]
    return [
        label(across((t - start) / (end - start)), bottom + 18, f"{t:.3g}", **MIDDLE) for t in at
    ]


def _sideways(text: str, y: float) -> list[Markup]:
    """Return the name of an upright axis."""
    return [label(12, y, text, anchor="middle", transform=f"rotate(-90 12 {y:g})")]


def _path(x: Array, y: Array, at: Place) -> str:
    """Return a line through points as SVG writes it."""
    parts, move = [], "M"
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if np.isfinite(b):
            across_, up_ = at(a, b)
            parts.append(f"{move}{across_:g} {up_:g}")
        move = "L" if np.isfinite(b) else "M"  # what is left out leaves a gap
    return "".join(parts)


def _dot(x: float, y: float) -> Markup:
    """Return the mark of a place that is pointed at."""
    return element("circle", class_="point", cx=tenth(x), cy=tenth(y), r=3.5)


def _lines(curves: Sequence[tuple[Array, Array]], at: Place) -> list[Markup]:
    """Return a line per curve, the first solid."""
    return [
        element("path", class_="line", d=_path(x, y, at), **(DASHED if k else {}))
        for k, (x, y) in enumerate(curves)
    ]


def _band(x: Array, low: Array, high: Array, at: Place) -> list[Markup]:
    """Return the area between two curves, nothing without intervals."""
    some = np.isfinite(low) & np.isfinite(high)
    if not some.any():
        return []
    ends = [
        *zip(x[some], low[some], strict=True),
        *zip(x[some][::-1], high[some][::-1], strict=True),
    ]
    points = [at(float(a), float(b)) for a, b in ends]
    outline = " ".join(f"{a:g},{b:g}" for a, b in points)
    return [element("polygon", class_="perfect", points=outline)]


def _after(values: Sequence[float]) -> str:
    """Return the value after a calibrator, the second, if there is one."""
    return f"; after the calibrator {number(values[1])}" if len(values) > 1 else ""


def _ends(low: float, high: float) -> str:
    """Return an interval, "" without one."""
    known = np.isfinite(low) and np.isfinite(high)
    return interval(float(low), float(high)) if known else ""
