"""The parts of a page's diagrams. Colours are classes of page.css, for light and dark screens.

Each bin is an element that can be pointed at or reached by key; its numbers then appear above the
diagram, by CSS alone, so that this works where scripts are forbidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calibtool.reports.page.markup import Markup, element

# Sizes in units of the viewBox, which page.css scales to the width of the screen. The margins hold
# tick labels and an axis title at the left, two lines of text at the top.
WIDTH, LEFT, RIGHT, TOP = 400.0, 56.0, 12.0, 48.0
SIDE = WIDTH - LEFT - RIGHT  # of the square
FOOT = 44.0  # tick labels and axis title below the square
STRIP = 112.0, 16.0  # width and height of an interval within a table's cell, as in page.css
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def picture(height: float, words: str, *children: Markup) -> Markup:
    """Return a diagram; `words` describe it to a screen reader."""
    return element(
        "svg",
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
    marks: Sequence[Markup],
    lines: tuple[str, str],
    *,
    off: bool = False,
) -> Markup:
    """Return marks that can be pointed at anywhere between `left` and `right`.

    Args:
        left, right: scores.
        top, bottom: ends of the area, in units of the viewBox.
        marks: what is drawn.
        lines: the text that appears when the area is pointed at.
        off: whether the bin's interval excludes the diagonal.
    """
    area = box("area", left, right, top, bottom - top)
    tip = element("g", *(label(LEFT, 16 + 18 * k, t) for k, t in enumerate(lines)), class_="tip")
    return element(
        "g",
        area,
        *marks,
        tip,
        class_="bin off" if off else "bin",
        tabindex=0,
        role="img",
        aria_label=" ".join(lines),
    )


def box(class_: str, left: float, right: float, top: float, height: float) -> Markup:
    """Return a rectangle between two scores."""
    return element(
        "rect",
        class_=class_,
        x=tenth(across(left) + 0.5),
        y=tenth(top),
        width=tenth(max(across(right) - across(left) - 1, 0.5)),
        height=tenth(height),
    )


def label(x: float, y: float, text: str, anchor: str | None = None, **more: Any) -> Markup:
    """Return text in a diagram."""
    return element("text", text, x=tenth(x), y=tenth(y), text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    """Return the ends of a line as attributes."""
    return {"x1": tenth(x1), "y1": tenth(y1), "x2": tenth(x2), "y2": tenth(y2)}


def across(score: float) -> float:
    """Return the x of a score."""
    return LEFT + SIDE * score


def up(outcome: float) -> float:
    """Return the y of an outcome."""
    return TOP + SIDE * (1 - outcome)


def tenth(x: float) -> float:
    """Return a coordinate as exact as a screen can show; more digits only make the page larger."""
    return round(float(x), 1)


def visible(height: float, mass: float) -> float:
    """Return a height of at least one unit for a bin that holds any rows."""
    return max(height, 1.0) if mass > 0 else 0.0


def strip(value: float | None, low: float | None, high: float | None, reach: float) -> Markup:
    """Return a picture of a value and its interval around 0, for a cell of a table.

    It spans -reach to reach; a value beyond that is drawn as an arrow.
    """
    if value is None:
        return Markup()
    width, height = STRIP

    def at(x: float) -> float:
        return width / 2 + (width / 2 - 5) * min(max(x / reach, -1.0), 1.0)

    middle = round(height / 2)
    off = low is not None and high is not None and not low <= 0 <= high
    if abs(value) > reach:
        x, tip = at(value), 4 if value > 0 else -4
        points = f"{x - tip:g},4 {x + tip:g},8 {x - tip:g},12"
        marks = [element("polygon", points=points)]
    else:
        marks = [element("circle", cx=tenth(at(value)), cy=middle, r=3)]
    if low is not None and high is not None:
        marks.insert(0, element("line", **line(at(low), middle, at(high), middle)))
    return element("svg", *marks, class_="strip off" if off else "strip", aria_hidden="true")
