"""Two models and their difference, in ink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams.compare import Compare
from calibtool.ink import marks
from calibtool.ink.reliability import AXES
from calibtool.ink.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def height(data: Compare, width: float, style: Style) -> float:
    """Two panels."""
    return 1.05 * width + 9 * style.text / 72


def draw(data: Compare, axes: Axes, style: Style) -> None:
    """The gap of each model above; the difference below, thick where its band leaves out 0."""
    from matplotlib.lines import Line2D

    place = marks.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True)
    x, handles, labels = data.score, [], []
    for index, line in enumerate(data.models):
        colour = style.colour(index)
        marks.band(upper, x, line.low, line.high, colour=colour, gid=f"band-{index}")
        how: dict[str, Any] = {
            "color": colour,
            "lw": style.line,
            "ls": "-" if not index else (0, (4, 1.6)),
        }
        upper.plot(x, line.gap, zorder=4, gid=f"curve-{index}", **how)
        handles.append(Line2D([], [], **how))
        numbers = ", ".join(marks.estimate_text(one) for one in data.estimates[index][:1])
        labels.append(f"{marks.long_name(line.label, 40)}: {numbers}")
    marks.key(upper, style, handles, labels)
    one = data.difference
    colour = style.colour(2)
    marks.band(lower, x, one.low, one.high, colour=colour, gid="band-2")
    lower.plot(x, one.gap, color=colour, lw=style.line * 0.7, zorder=3, gid="curve-2")
    sure = np.where((one.low > 0) | (one.high < 0), one.gap, np.nan)
    lower.plot(x, sure, color=colour, lw=style.line * 2, solid_capstyle="butt", zorder=4)
    for ax in (upper, lower):
        ax.axhline(0, color=style.muted, lw=style.line * 0.5, zorder=1)
    x_name, y_name = AXES[data.view]
    upper.set_ylabel(f"{y_name} - {x_name.lower()}" if data.view == "top" else f"{y_name} - P")
    lower.set_ylabel("Difference")
    lower.set_xlabel(x_name)
    shown = np.isfinite(np.array([line.gap for line in data.models])).any(axis=0)
    if shown.any():
        lower.set_xlim(float(x[shown].min()), 1.0)
    change = "; ".join(f"{marks.estimate_text(c)}" for c in data.change)
    lower.set_title(
        f"{marks.long_name(one.label, 44)}\n{change}",
        fontsize=style.small,
        loc="left",
        linespacing=1.3,
    )
    marks.foot(
        place,
        style,
        f"Colour: {100 * data.level:g} % bands, pointwise; that of the difference is paired; thick "
        f"where it leaves out 0; n = {data.data[0].rows:,}",
    )
