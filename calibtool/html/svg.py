"""Diagrams as SVG inside a page. Colours are classes that page.css knows, light and dark.

Each bin is an element that can be pointed at or reached by key; what it holds is then written above
the diagram, by CSS alone, so that it works where scripts are forbidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from calibtool.checks import Array
from calibtool.diagrams.record import Curve
from calibtool.diagrams.risk_coverage import COVERAGE, Risk
from calibtool.html.markup import Markup, element, together
from calibtool.render.numbers import interval, number, share

WIDTH, LEFT, RIGHT, TOP = 400.0, 56.0, 12.0, 48.0
SIDE = WIDTH - LEFT - RIGHT  # of the square
GAP, BARS, FOOT = 14.0, 56.0, 44.0
NAMES = {"top": ("Confidence", "Accuracy"), "positive": ("P(class 1)", "Frequency of class 1")}
STRIP = 112.0, 16.0  # width and height of an interval within a table's cell, as page.css has it


def reliability(curve: Curve, view: str, title: str) -> Markup:
    """Accuracy against confidence above, the share of rows below."""
    bottom = TOP + SIDE + GAP + BARS
    score, outcome = NAMES[view]
    edges = curve.edges
    assert edges is not None
    most = float(np.nanmax(curve.mass)) or 1.0
    frame = [
        *_grid(outcome),
        *_bands(curve, edges),
        element("line", class_="diagonal", **_line(_x(0), _y(0), _x(1), _y(1))),
        _label(_x(0.5), bottom + 38, score, anchor="middle"),
        _label(LEFT - 6, bottom - BARS + 11, f"{100 * most:.0f} %", anchor="end", class_="tick"),
        element("line", class_="axis", **_line(_x(0), bottom, _x(1), bottom)),
        *(_label(_x(t), bottom + 18, f"{t:g}", anchor="middle", class_="tick") for t in TICKS),
    ]
    bins = [
        _bin(curve, k, edges[k], edges[k + 1], (bottom, most), (score.lower(), outcome.lower()))
        for k in range(len(curve.mass))
        if curve.mass[k] > 0
    ]
    if view == "positive":
        words = f"{outcome} against {score}"
    else:
        words = f"{outcome} against {score.lower()}"
    label = f"Reliability diagram, {title}. {words}, {len(bins)} bins that hold rows."
    return _svg(bottom + FOOT, label, *frame, *bins)


def confidence(right: Sequence[float], wrong: Sequence[float], said: float, was: float) -> Markup:
    """How confident the right predictions are, upwards, and the wrong ones, downwards."""
    height, middle = 190.0, TOP + 112.0
    count = len(right)
    most = max(*right, *wrong, 1e-12)
    up, down = 104.0, 104.0 * max(wrong) / most
    bottom = max(middle + down, middle + 24)
    height = bottom + FOOT
    frame = [
        element("line", class_="axis", **_line(_x(0), middle, _x(1), middle)),
        _label(LEFT - 6, middle - 8, "right", anchor="end", class_="tick"),
        _label(LEFT - 6, middle + 16, "wrong", anchor="end", class_="tick"),
        *(_label(_x(t), bottom + 18, f"{t:g}", anchor="middle", class_="tick") for t in TICKS),
        _label(_x(0.5), bottom + 38, "Confidence", anchor="middle"),
    ]
    bins = []
    for k in range(count):
        if not right[k] + wrong[k]:
            continue
        low, high = k / count, (k + 1) / count
        tall, deep = (_visible(up * x / most, x) for x in (right[k], wrong[k]))
        told = (
            f"Confidence {low:.2f} to {high:.2f}:",
            f"{share(right[k])} of all rows are right, {share(wrong[k])} wrong",
        )
        ink = [
            _box("right", low, high, middle - tall, tall),
            _box("wrong", low, high, middle, deep),
        ]
        bins.append(_target(low, high, TOP, bottom, ink, told))
    marks = [
        element("line", class_="mark", **_line(_x(x), TOP + 4, _x(x), bottom)) for x in (said, was)
    ]
    label = (
        f"Confidence of the right and of the wrong predictions. Mean confidence {share(said)}, "
        f"accuracy {share(was)}."
    )
    return _svg(height, label, *frame, *bins, *marks)


def risk(curve: Risk) -> Markup:
    """Error rate of the most confident share of the rows, and the least that it could be."""
    tall, coverage = 150.0, COVERAGE
    top = max(float(np.nanmax(curve.risk)), _most(curve.high), 1e-6)
    step = _step(top)
    most = step * np.ceil(top / step - 1e-9)
    bottom = TOP + tall

    def at(share_: float, rate: float) -> tuple[float, float]:
        return _round(_x(share_)), _round(bottom - tall * rate / most)

    def path(rates: Array, class_: str) -> Markup:
        points = [at(float(c), float(r)) for c, r in zip(coverage, rates, strict=True)]
        return element("path", class_=class_, d="M" + "L".join(f"{x:g} {y:g}" for x, y in points))

    frame = [_label(_x(0.5), bottom + 38, "Coverage: the most confident share", anchor="middle")]
    for rate in np.arange(0, most + step / 2, step):
        y = at(0, float(rate))[1]
        frame.append(element("line", class_="grid", **_line(_x(0), y, _x(1), y)))
        frame.append(_label(LEFT - 6, y + 5, f"{100 * rate:g} %", anchor="end", class_="tick"))
    frame += [_label(_x(t), bottom + 18, f"{t:g}", anchor="middle", class_="tick") for t in TICKS]
    band = np.concatenate([curve.low, curve.high[::-1]])
    ink = [path(curve.best, "diagonal"), path(curve.risk, "line")]
    if np.isfinite(band).all():
        ends = [*coverage, *coverage[::-1]]
        points = [at(float(c), float(r)) for c, r in zip(ends, band, strict=True)]
        outline = " ".join(f"{x:g},{y:g}" for x, y in points)
        ink.insert(0, element("polygon", class_="perfect", points=outline))
    bins = []
    for k in range(19, len(coverage), 20):
        wrong = share(float(curve.risk[k]))
        told = (
            f"Most confident {100 * coverage[k]:.0f} % of rows: {wrong} wrong",
            f"{_ends(curve.low[k], curve.high[k])}; at best {share(curve.best[k])}".lstrip("; "),
        )
        x, y = at(float(coverage[k]), float(curve.risk[k]))
        dot = element("circle", class_="point", cx=x, cy=y, r=3.5)
        bins.append(_target(coverage[k] - 0.1, coverage[k], TOP, bottom, [dot], told))
    label = (
        f"Risk against coverage. Of all rows {share(float(curve.risk[-1]))} are wrong, of the most "
        f"confident half {share(float(curve.risk[len(coverage) // 2 - 1]))}."
    )
    return _svg(bottom + FOOT, label, *frame, *ink, *bins)


def _most(values: Array) -> float:
    some = values[np.isfinite(values)]
    return float(some.max()) if len(some) else 0.0


def _ends(low: float, high: float) -> str:
    """An interval of shares."""
    known = np.isfinite(low) and np.isfinite(high)
    return f"[{100 * low:.1f}, {100 * high:.1f}] %" if known else ""


def _step(most: float) -> float:
    """Between the lines of a scale: 1, 2 or 5 times a power of ten, five lines at most.

    >>> _step(0.17), _step(1.0), _step(0.007)
    (0.05, 0.2, 0.002)
    """
    power = 10.0 ** np.floor(np.log10(most))
    steps = [round(float(m * power), 12) for m in (0.1, 0.2, 0.5, 1, 2, 5)]
    return next(step for step in steps if most / step <= 5)


def strip(value: float | None, low: float | None, high: float | None, reach: float) -> Markup:
    """A value with its interval around 0, in a table's cell; the numbers stand beside it."""
    if value is None:
        return Markup()
    width, height = STRIP

    def at(x: float) -> float:
        return width / 2 + (width / 2 - 5) * min(max(x / reach, -1.0), 1.0)

    middle = round(height / 2)
    off = low is not None and high is not None and not low <= 0 <= high
    if abs(value) > reach:  # an arrow: further than is shown
        x, way = at(value), 4 if value > 0 else -4
        points = f"{x - way:g},4 {x + way:g},8 {x - way:g},12"
        ink = [element("polygon", points=points)]
    else:
        ink = [element("circle", cx=_round(at(value)), cy=middle, r=3)]
    if low is not None and high is not None:
        ink.insert(0, element("line", **_line(at(low), middle, at(high), middle)))
    return element("svg", *ink, class_="strip off" if off else "strip", aria_hidden="true")


# ------------------------------------------------------------------ parts

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def _svg(height: float, label: str, *children: Markup) -> Markup:
    hint = _label(LEFT, 16, "Point at a bin for its numbers", class_="hint")
    return element(
        "svg",
        hint,
        *children,
        class_="diagram",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="group",
        aria_label=label,
    )


def _grid(outcome: str) -> list[Markup]:
    lines = []
    for t in TICKS:
        lines.append(element("line", class_="grid", **_line(_x(0), _y(t), _x(1), _y(t))))
        lines.append(element("line", class_="grid", **_line(_x(t), _y(0), _x(t), _y(1))))
        lines.append(_label(LEFT - 6, _y(t) + 5, f"{t:g}", anchor="end", class_="tick"))
    turn = f"rotate(-90 12 {_y(0.5):g})"
    return [*lines, _label(12, _y(0.5), outcome, anchor="middle", transform=turn)]


def _bands(curve: Curve, edges: Any) -> list[Markup]:
    """Where the point of a perfect model would lie."""
    boxes = []
    for k in np.flatnonzero(np.isfinite(curve.least) & (curve.mass > 0)):
        least, most = float(curve.least[k]), float(curve.most[k])
        height = max(SIDE * (most - least), 1.0)
        boxes.append(_box("perfect", float(edges[k]), float(edges[k + 1]), _y(most), height))
    return boxes


def _bin(
    curve: Curve,
    k: int,
    left: float,
    right: float,
    below: tuple[float, float],
    names: tuple[str, str],
) -> Markup:
    x, y, low, high = (float(v[k]) for v in (curve.score, curve.outcome, curve.low, curve.high))
    bottom, most = below
    mass = float(curve.mass[k])
    tall = _visible(BARS * mass / most, mass)
    off = not low <= x <= high
    ink = [
        _box("bar", float(left), float(right), bottom - tall, tall),
        element("line", class_="gap", **_line(_x(x), _y(x), _x(x), _y(y))),
        element("line", class_="whisker", **_line(_x(x), _y(low), _x(x), _y(high))),
        element("circle", class_="point", cx=_round(_x(x)), cy=_round(_y(y)), r=4.5),
    ]
    told = (
        f"{left:.3g} to {right:.3g}: {share(mass)} of rows, {names[0]} {number(x)}",
        f"{names[1]} {number(y)} {interval(low, high)}",
    )
    return _target(float(left), float(right), TOP, bottom, ink, told, off=off)


def _target(
    left: float,
    right: float,
    top: float,
    bottom: float,
    ink: Sequence[Markup],
    told: tuple[str, str],
    *,
    off: bool = False,
) -> Markup:
    """Ink that can be pointed at anywhere between `left` and `right`, and what is then told."""
    area = _box("area", left, right, top, bottom - top)
    tip = element("g", *(_label(LEFT, 16 + 18 * k, t) for k, t in enumerate(told)), class_="tip")
    return element(
        "g",
        area,
        *ink,
        tip,
        class_="bin off" if off else "bin",
        tabindex=0,
        role="img",
        aria_label=" ".join(told),
    )


def _box(class_: str, left: float, right: float, top: float, height: float) -> Markup:
    return element(
        "rect",
        class_=class_,
        x=_round(_x(left) + 0.5),
        y=_round(top),
        width=_round(max(_x(right) - _x(left) - 1, 0.5)),
        height=_round(height),
    )


def _label(x: float, y: float, text: str, anchor: str | None = None, **more: Any) -> Markup:
    return element("text", text, x=_round(x), y=_round(y), text_anchor=anchor, **more)


def _line(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    return {"x1": _round(x1), "y1": _round(y1), "x2": _round(x2), "y2": _round(y2)}


def _x(score: float) -> float:
    return LEFT + SIDE * score


def _y(outcome: float) -> float:
    return TOP + SIDE * (1 - outcome)


def _round(x: float) -> float:
    return round(float(x), 1)


def _visible(height: float, mass: float) -> float:
    """A few rows are not none."""
    return max(height, 1.0) if mass > 0 else 0.0


__all__ = ["confidence", "reliability", "strip", "together"]
