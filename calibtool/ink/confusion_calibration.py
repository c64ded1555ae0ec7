"""Confidence and accuracy by predicted class, in ink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibtool.diagrams.confusion_calibration import ConfusionCalibration, Predicted
from calibtool.ink import marks
from calibtool.ink.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def height(data: ConfusionCalibration, width: float, style: Style) -> float:
    """A line a class."""
    return (9.5 + 1.85 * len(data.classes)) * style.text / 72


def draw(data: ConfusionCalibration, axes: Axes, style: Style) -> None:
    """What was said, open; what was, filled; the gap between them."""
    from matplotlib.lines import Line2D

    place = marks.inside(axes)
    axes = place.subplots()
    said, was = style.colour(1), style.colour(0)
    size: dict[str, Any] = {"ms": 0.62 * style.text, "mew": style.line * 0.8, "zorder": 4, "ls": ""}
    for y, one in enumerate(data.classes):
        axes.plot([one.said, one.was], [y, y], color=style.faint, lw=style.line * 2.2, zorder=1)
        axes.plot([one.low, one.high], [y, y], color=was, lw=style.line * 0.9, gid=f"bars-{y}")
        axes.plot([one.said], [y], marker="D", mfc=style.paper, mec=said, **size)
        axes.plot([one.was], [y], marker="o", color=was, gid=f"point-{y}", **size)
        axes.annotate(
            _words(one),
            (1, y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0.8 * style.text, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.small * 0.93,
            color=style.muted,
        )
    names = [marks.long_name(one.name, 18) for one in data.classes]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    low = min([min(one.said, one.low) for one in data.classes], default=0.0)
    axes.set_xlim(max(0.0, low - 0.03), 1.0 + 0.01 * (1 - low))
    axes.xaxis.set_major_locator(marks.few_ticks(4))
    marks.percent_axis(axes, which="x")
    handles = [
        Line2D([], [], marker="o", color=was, **{**size, "ls": ""}),
        Line2D([], [], marker="D", mfc=style.paper, mec=said, **size),
    ]
    marks.key(axes, style, handles, ["accuracy where it is predicted", "mean confidence"])
    axes.set_xlabel("; ".join(marks.estimate_text(one) for one in data.estimates))
    axes.set_ylabel("Predicted class")
    marks.foot(
        place,
        style,
        f"Bars: {100 * data.level:g} % intervals. Right: rows, and which other class is the label "
        "most often",
    )


def _words(one: Predicted) -> str:
    if not one.mistaken:
        return f"n {one.rows:,}"
    share = marks.percent(one.mistaken_share, 0)
    return f"n {one.rows:,}; {share} {marks.long_name(one.mistaken, 13)}"
