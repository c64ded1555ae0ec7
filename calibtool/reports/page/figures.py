"""The diagrams of a page: reliability, confidence of right and wrong predictions, risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from calibtool.diagrams.curve import Curve
from calibtool.diagrams.risk_coverage import COVERAGE, Risk
from calibtool.formatting import interval, number, share
from calibtool.reports.page.histogram import Bars
from calibtool.reports.page.markup import Markup, element
from calibtool.reports.page.model import RightAndWrong
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

# Heights in the units of `svg`: the space below the square and the histogram there; the longest
# bar of right or wrong predictions; the curve of risk.
GAP, BARS, HALF, CURVE = 14.0, 56.0, 104.0, 150.0
NINES = (0.0, 0.5, 0.9, 0.99, 0.999, 1.0)  # numbers below an axis that gets wider towards 1
# Least end of the axis of risk, whose labels have no room for more decimals; and its end where no
# row is wrong.
LEAST, NO_ERROR = 1e-4, 0.01
NAMES = {"top": ("Confidence", "Accuracy"), "positive": ("P(class 1)", "Frequency of class 1")}


LONGEST = 18  # letters of a class in a diagram, where a line has room for some 45


def lower(name: str) -> str:
    """Return a name as it is written within a sentence; P(class 1) keeps its capital."""
    return name if name.startswith("P(") else f"{name[:1].lower()}{name[1:]}"


def reliability(
    curve: Curve, beside: Sequence[Curve], names: tuple[str, str], title: str
) -> Markup:
    """Return a reliability diagram: outcome against score, called by `names`, and a histogram of
    the rows below it, on the scale of all curves that stand beside each other."""
    bottom = TOP + SIDE + GAP + BARS
    score, outcome = names
    edges = curve.edges
    assert edges is not None
    bars = Bars([one.mass for one in beside], BARS)
    frame = [
        *_grid(outcome),
        *_bands(curve, edges),
        element("line", class_="diagonal", **line(across(0), up(0), across(1), up(1))),
        label(across(0.5), bottom + 38, score, anchor="middle"),
        *bars.scale(bottom),
        element("line", class_="axis", **line(across(0), bottom, across(1), bottom)),
        *_scale(bottom),
    ]
    bins = [
        _bin(curve, k, edges[k], edges[k + 1], (bottom, bars), (lower(score), lower(outcome)))
        for k in range(len(curve.mass))
        if curve.mass[k] > 0
    ]
    words = f"{outcome} against {lower(score)}, {len(bins)} bins that hold rows."
    if bars.log:
        words += " Their shares of the rows are drawn on a log scale."
    return picture(bottom + FOOT, f"Reliability diagram, {title}. {words}", *frame, *bins)


def _grid(outcome: str) -> list[Markup]:
    lines = []
    for t in TICKS:
        lines.append(element("line", class_="grid", **line(across(0), up(t), across(1), up(t))))
        lines.append(element("line", class_="grid", **line(across(t), up(0), across(t), up(1))))
        lines.append(label(LEFT - 6, up(t) + 5, f"{t:g}", anchor="end", class_="tick"))
    turn = f"rotate(-90 12 {up(0.5):g})"
    return [*lines, label(12, up(0.5), outcome, anchor="middle", transform=turn)]


def _bands(curve: Curve, edges: Any) -> list[Markup]:
    """Return where the points of a perfect model would lie, bin by bin."""
    boxes = []
    for k in np.flatnonzero(np.isfinite(curve.least) & (curve.mass > 0)):
        least, most = float(curve.least[k]), float(curve.most[k])
        height = max(SIDE * (most - least), 1.0)
        boxes.append(box("perfect", float(edges[k]), float(edges[k + 1]), up(most), height))
    return boxes


def _bin(
    curve: Curve,
    k: int,
    left: float,
    right: float,
    below: tuple[float, Bars],
    names: tuple[str, str],
) -> Markup:
    x, y, low, high = (float(v[k]) for v in (curve.score, curve.outcome, curve.low, curve.high))
    bottom, bars = below
    mass = float(curve.mass[k])
    tall = bars.height(mass)
    off = not low <= x <= high
    marks = [
        box("bar", float(left), float(right), bottom - tall, tall),
        element("line", class_="gap", **line(across(x), up(x), across(x), up(y))),
        element("line", class_="whisker", **line(across(x), up(low), across(x), up(high))),
        element("circle", class_="point", cx=tenth(across(x)), cy=tenth(up(y)), r=4.5),
    ]
    lines = (
        f"{left:.3g} to {right:.3g}: {share(mass)} of rows, {names[0]} {number(x)}",
        f"{names[1]} {number(y)} {interval(low, high)}",
    )
    return target(float(left), float(right), TOP, bottom, marks, lines, off=off)


def confidence(data: RightAndWrong, score: float, outcome: float) -> Markup:
    """Return histograms of the confidence: right predictions upwards, wrong ones downwards, each as
    shares of its own rows, so that a few wrong ones can be seen."""
    middle = TOP + HALF + 8  # a tallest bar does not touch the text above it
    right, wrong = (_shares(side) for side in (data.right, data.wrong))
    most = max(*right, *wrong, 1e-12)  # in case no row weighs anything
    bottom = middle + max(HALF * max(wrong) / most, 24)  # 24: room for the word "wrong"
    count = len(right)

    def at(confidence_: float) -> float:
        """Return the place on the axis, where all bins are equally wide."""
        return float(np.interp(confidence_, data.edges, np.arange(count + 1) / count))

    ticks = NINES if data.wide else TICKS
    frame = [
        element("line", class_="axis", **line(across(0), middle, across(1), middle)),
        label(LEFT - 6, middle - 8, "right", anchor="end", class_="tick"),
        label(LEFT - 6, middle + 16, "wrong", anchor="end", class_="tick"),
        label(LEFT - 6, middle - HALF + 11, f"{100 * most:.0f} %", anchor="end", class_="tick"),
        *(
            label(across(at(t)), bottom + 18, f"{t:g}", anchor="middle", class_="tick")
            for t in ticks
        ),
        label(across(0.5), bottom + 38, "Confidence", anchor="middle"),
    ]
    bins = []
    for k in range(count):
        if not right[k] + wrong[k]:
            continue
        tall, deep = (visible(HALF * x / most, x) for x in (right[k], wrong[k]))
        lines = (
            f"Confidence {data.edges[k]:.5g} to {data.edges[k + 1]:.5g}:",
            f"{share(right[k])} of the right rows, {share(wrong[k])} of the wrong",
        )
        low, high = k / count, (k + 1) / count
        marks = [
            box("right", low, high, middle - tall, tall),
            box("wrong", low, high, middle, deep),
        ]
        bins.append(target(low, high, TOP, bottom, marks, lines))
    marks = [
        element("line", class_="mark", **line(across(at(x)), TOP + 4, across(at(x)), bottom))
        for x in (score, outcome)
    ]
    words = (
        f"Confidence of the right and of the wrong predictions. Mean confidence {share(score)}, "
        f"accuracy {share(outcome)}."
    )
    return picture(bottom + FOOT, words, *frame, *bins, *marks)


def _shares(masses: Sequence[float]) -> list[float]:
    """Return masses over their sum; zeros without any."""
    total = sum(masses)
    return [x / total if total else 0.0 for x in masses]


def risk(curve: Risk) -> Markup:
    """Return the error rate of the most confident share of rows, and that of the best ranking."""
    coverage = COVERAGE
    top = max(float(np.nanmax(curve.risk)), _most(curve.high))
    top = max(top, LEAST) if top else NO_ERROR
    step = step_of(top)
    most = step * np.ceil(top / step - 1e-9)
    bottom = TOP + CURVE

    def at(share_: float, rate: float) -> tuple[float, float]:
        return tenth(across(share_)), tenth(bottom - CURVE * rate / most)

    def path(rates: Array, class_: str) -> Markup:
        points = [at(float(c), float(r)) for c, r in zip(coverage, rates, strict=True)]
        return element("path", class_=class_, d="M" + "L".join(f"{x:g} {y:g}" for x, y in points))

    frame = [label(across(0.5), bottom + 38, "Coverage: the most confident share", anchor="middle")]
    for rate in np.arange(0, most + step / 2, step):
        y = at(0, float(rate))[1]
        frame.append(element("line", class_="grid", **line(across(0), y, across(1), y)))
        frame.append(label(LEFT - 6, y + 5, f"{100 * rate:g} %", anchor="end", class_="tick"))
    frame += [
        label(across(t), bottom + 18, f"{t:g}", anchor="middle", class_="tick") for t in TICKS
    ]
    band = np.concatenate([curve.low, curve.high[::-1]])
    marks = [path(curve.best, "diagonal"), path(curve.risk, "line")]
    if np.isfinite(band).all():
        ends = [*coverage, *coverage[::-1]]
        points = [at(float(c), float(r)) for c, r in zip(ends, band, strict=True)]
        outline = " ".join(f"{x:g},{y:g}" for x, y in points)
        marks.insert(0, element("polygon", class_="perfect", points=outline))
    bins = []
    for k in range(19, len(coverage), 20):  # a target per tenth: COVERAGE has 20 steps in each
        wrong = share(float(curve.risk[k]))
        lines = (
            f"Most confident {100 * coverage[k]:.0f} % of rows: {wrong} wrong",
            f"{_ends(curve.low[k], curve.high[k])}; at best {share(curve.best[k])}".lstrip("; "),
        )
        x, y = at(float(coverage[k]), float(curve.risk[k]))
        dot = element("circle", class_="point", cx=x, cy=y, r=3.5)
        bins.append(target(coverage[k] - 0.1, coverage[k], TOP, bottom, [dot], lines))
    words = (
        f"Risk against coverage. Of all rows {share(float(curve.risk[-1]))} are wrong, of the most "
        f"confident half {share(float(curve.risk[len(coverage) // 2 - 1]))}."
    )
    return picture(bottom + FOOT, words, *frame, *marks, *bins)


def _scale(bottom: float) -> list[Markup]:
    """Return the numbers below a diagram."""
    return [label(across(t), bottom + 18, f"{t:g}", anchor="middle", class_="tick") for t in TICKS]


def _most(values: Array) -> float:
    """Return the largest finite value; 0 without one."""
    some = values[np.isfinite(values)]
    return float(some.max()) if len(some) else 0.0


def _ends(low: float, high: float) -> str:
    """Return an interval of shares as percentages."""
    known = np.isfinite(low) and np.isfinite(high)
    return f"[{100 * low:.1f}, {100 * high:.1f}] %" if known else ""


def step_of(most: float) -> float:
    """Return the distance between grid lines: 1, 2 or 5 times a power of ten, at most five lines.

    >>> step_of(0.17), step_of(1.0), step_of(0.007)
    (0.05, 0.2, 0.002)
    """
    power = 10.0 ** np.floor(np.log10(most))
    steps = [round(float(m * power), 12) for m in (0.1, 0.2, 0.5, 1, 2, 5)]
    return next(step for step in steps if most / step <= 5)
