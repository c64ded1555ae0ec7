"""What diagrams inside a page are made of. Colours are classes that page.css knows, light and dark.

Each bin is an element that can be pointed at or reached by key; what it holds is then written above
the diagram, by CSS alone, so that it works where scripts are forbidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calibtool.reports.page.markup import Markup, element

WIDTH, LEFT, RIGHT, TOP = 400.0, 56.0, 12.0, 48.0
SIDE = WIDTH - LEFT - RIGHT  # of the square
FOOT = 44.0  # for the scale below
STRIP = 112.0, 16.0  # width and height of an interval within a table's cell, as page.css has it
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def picture(height: float, words: str, *children: Markup) -> Markup:
    """A diagram, for those who cannot see it in words."""
    hint = label(LEFT, 16, "Point at a bin for its numbers", class_="hint")
    return element(
        "svg",
        hint,
        *children,
        class_="diagram",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="group",
        aria_label=words,
    )


def target(
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
    area = box("area", left, right, top, bottom - top)
    tip = element("g", *(label(LEFT, 16 + 18 * k, t) for k, t in enumerate(told)), class_="tip")
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


def box(class_: str, left: float, right: float, top: float, height: float) -> Markup:
    """Ink between two scores."""
    return element(
        "rect",
        class_=class_,
        x=tenth(across(left) + 0.5),
        y=tenth(top),
        width=tenth(max(across(right) - across(left) - 1, 0.5)),
        height=tenth(height),
    )


def label(x: float, y: float, text: str, anchor: str | None = None, **more: Any) -> Markup:
    """Text in a diagram."""
    return element("text", text, x=tenth(x), y=tenth(y), text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    """The ends of a line."""
    return {"x1": tenth(x1), "y1": tenth(y1), "x2": tenth(x2), "y2": tenth(y2)}


def across(score: float) -> float:
    """Where a score lies."""
    return LEFT + SIDE * score


def up(outcome: float) -> float:
    """Where an outcome lies."""
    return TOP + SIDE * (1 - outcome)


def tenth(x: float) -> float:
    """As exact as a screen can show."""
    return round(float(x), 1)


def visible(height: float, mass: float) -> float:
    """A few rows are not none."""
    return max(height, 1.0) if mass > 0 else 0.0


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
        ink = [element("circle", cx=tenth(at(value)), cy=middle, r=3)]
    if low is not None and high is not None:
        ink.insert(0, element("line", **line(at(low), middle, at(high), middle)))
    return element("svg", *ink, class_="strip off" if off else "strip", aria_hidden="true")
