"""Calibration over time in every slice: the picture of a `SliceMonitoring`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibtool.analysis.monitoring.slices import SliceMonitoring
from calibtool.analysis.monitoring.wording import highest_of
from calibtool.diagrams import marks, monitor, panels
from calibtool.diagrams.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 8  # slices in one picture, a page high in a column of a paper; the table has them all


def height(data: SliceMonitoring, width: float, style: Style) -> float:
    """Return the height in inches: a row of panels per slice, and the text around them."""
    rows = min(len(data.slices), MOST)
    return rows * (0.24 * width + 3.2 * style.text / 72) + 9 * style.text / 72


def draw(data: SliceMonitoring, axes: Axes, style: Style) -> None:
    """Draw mean score and mean outcome, and the evidence beside them; the most evidence first."""
    from calibtool.diagrams import room

    place = panels.inside(axes)
    shown = data.slices[:MOST]
    grid = place.subplots(len(shown), 2, sharex=True, squeeze=False)
    first = shown[0][1]
    x = monitor.times(data.names, first.every)
    crowded = len(x) > monitor.MANY / 2  # the panels are half as wide
    number = {name: k for k, name in enumerate(data.names)}
    highest = max(highest_of(each.alpha) for _, each in shown)
    for (left, right), (name, each) in zip(grid, shown, strict=True):
        own = x[[number[period.name] for period in each.periods]]
        for panel in (left, right):
            monitor.change(panel, each, own, style)
        monitor.means(left, each, own, style, crowded=crowded, key=left is grid[0, 0])
        monitor.evidence(right, each, own, style, highest, crowded=crowded)
        monitor.evidence_axis(right, [each, *(other for _, other in shown)], style, highest)
        title = f"{name}: {each.rows:,} rows"
        text = right.set_title(title, loc="right", fontsize=style.small, pad=0.4 * style.text)
        room.wrap(text, room.Room(right))
    for panel in grid[-1]:
        monitor.ticks(panel, data.names, first.every, x, style)
    more = len(data.slices) - len(shown)
    others = f" {more:,} slices with less evidence are left out." if more else ""
    bars = "" if first.level is None else f"Bars: {100 * first.level:g} % intervals. "
    marks.foot(
        place,
        style,
        f"{bars}Right: e-values; dashed, what raises an alarm. If {monitor.NULL[first.against]}, "
        f"the probability that any slice ever raises one is at most {data.alpha:g}.{others}",
    )
