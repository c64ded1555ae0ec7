"""Calibration over a column, in ink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.checks import Array
from calibtool.diagrams.shift import Shift
from calibtool.ink import marks
from calibtool.ink.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {"top": ("mean confidence", "accuracy"), "positive": ("mean score", "frequency")}


def height(data: Shift, width: float, style: Style) -> float:
    """Two panels."""
    return 0.9 * width + 7 * style.text / 72


def draw(data: Shift, axes: Axes, style: Style) -> None:
    """What was said and what was above; the ECE below."""
    place = marks.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    x: Any = _column(data, "middle")
    if data.is_time:
        x = (x * 1e6).astype("datetime64[us]")
    said, was = _column(data, "said"), _column(data, "was")
    marks.bars(
        *(upper, x, _column(data, "least"), _column(data, "most")),
        colour=style.faint,
        width=style.line * 4.5,
        gid="expected-0",
        zorder=1,
    )
    marks.bars(
        *(upper, x, _column(data, "was_low"), _column(data, "was_high")),
        colour=style.colour(0),
        width=style.line * 0.8,
        gid="bars-0",
    )
    shape: dict[str, Any] = {"ms": 0.55 * style.text, "mec": style.paper, "mew": style.line * 0.3}
    names = NAMES[data.view]
    handles = [
        upper.plot(x, was, color=style.colour(0), marker="o", lw=style.line, zorder=4, **shape)[0],
        upper.plot(
            x,
            said,
            color=style.colour(1),
            marker="s",
            ls=(0, (4, 1.6)),
            lw=style.line,
            zorder=4,
            **shape,
        )[0],
    ]
    for handle, gid in zip(handles, ("curve-0", "curve-1"), strict=True):
        handle.set_gid(gid)
    marks.key(upper, style, handles, [names[1], names[0]])
    marks.percent_axis(upper)
    ece = [s.estimates[0] for s in data.stretches]
    value, low, high = (
        np.array([getattr(one, name) for one in ece], float) for name in ("value", "low", "high")
    )
    marks.bars(lower, x, low, high, colour=style.ink, width=style.line * 0.8, gid="bars-1")
    lower.plot(x, value, color=style.ink, marker="D", lw=style.line * 0.7, gid="curve-2", **shape)
    lower.set_ylim(0, None)
    lower.set_ylabel("ECE")
    if data.is_time:
        from matplotlib import dates

        calendar: Any = dates
        locator = calendar.AutoDateLocator(maxticks=6)
        lower.xaxis.set_major_locator(locator)
        lower.xaxis.set_major_formatter(calendar.ConciseDateFormatter(locator))
    elif not (x % 1).any():
        from matplotlib.ticker import MaxNLocator

        lower.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    lower.set_xlabel(data.column)
    rows = [s.rows for s in data.stretches]
    level = f"{100 * data.level:g} %"
    size = f"{min(rows):,}" + (f" to {max(rows):,}" if max(rows) > min(rows) else "")
    marks.foot(
        place,
        style,
        f"Bars: {level} intervals; grey: {level} of models that are right on average; "
        f"{len(rows)} stretches of {size} rows",
    )


def _column(data: Shift, name: str) -> Array:
    return np.array([getattr(s, name) for s in data.stretches], float)
