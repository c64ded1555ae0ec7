"""Before and after every calibrator, in ink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams.gain import GainDiagram
from calibtool.ink import marks
from calibtool.ink.style import Style
from calibtool.report import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = ("NLL", "ECE")


def height(data: GainDiagram, width: float, style: Style) -> float:
    """A line a calibrator."""
    return (9 + 1.75 * len(data.gains)) * style.text / 72


def draw(data: GainDiagram, axes: Axes, style: Style) -> None:
    """NLL to the left, ECE to the right; a line from before to after."""
    place = marks.inside(axes)
    for index, ax in enumerate(place.subplots(1, 2, sharey=True)):
        _panel(ax, data, index, style)
    rows = f"{data.data[0].rows:,} rows, {data.how}"
    level = f"{100 * data.level:g} %"
    marks.foot(
        place,
        style,
        f"Line: before. Bars: {level} intervals. Filled: the change's paired {level} interval "
        f"leaves out 0. {rows}",
    )


def _panel(axes: Axes, data: GainDiagram, index: int, style: Style) -> None:
    before = data.before[index]
    start = before.value or 0.0
    axes.axvline(start, color=style.muted, lw=style.line * 0.7, zorder=1, gid=f"before-{index}")
    low, high = _range(data, index)
    size: dict[str, Any] = {"ms": 0.62 * style.text, "mew": style.line * 0.7, "zorder": 4}
    for y, gain in enumerate(data.gains):
        after, change = gain.after[index], gain.change[index]
        value = after.value
        colour = style.colour(_verdict(change))
        if value is None or not np.isfinite(value) or value > high:
            axes.plot([high], [y], marker=">", color=colour, clip_on=False, **size)
            text = "infinite" if value is None or not np.isfinite(value) else marks.brief(value)
            how: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": style.small * 0.93}
            at: dict[str, Any] = {"xytext": (-0.7 * style.text, 0), "textcoords": "offset points"}
            axes.annotate(text, (high, y), color=style.muted, **at, **how)
            continue
        axes.plot([start, value], [y, y], color=style.faint, lw=style.line * 1.6, zorder=1.5)
        if after.low is not None and after.high is not None:
            axes.plot(
                [after.low, after.high],
                [y, y],
                color=colour,
                lw=style.line * 0.9,
                gid=f"bars-{index}-{y}",
            )
        sure = change.low is not None and (change.low > 0 or (change.high or 0.0) < 0)
        face = colour if sure else style.paper
        axes.plot([value], [y], "o", mfc=face, mec=colour, gid=f"point-{index}-{y}", **size)
    axes.set_yticks(range(len(data.gains)), [gain.method for gain in data.gains])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(data.gains) - 0.4, -0.6)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(marks.few_ticks(3))
    axes.set_xlabel(TITLES[index])
    axes.set_title(f"before: {marks.brief(start)}", fontsize=style.small, loc="left")


def _verdict(change: Estimate) -> int:
    """Colour: better 0, worse 1."""
    return 0 if change.value is not None and change.value <= 0 else 1


def _range(data: GainDiagram, index: int) -> tuple[float, float]:
    """From the best, or 0 for an ECE, to somewhat worse than before."""
    start = data.before[index].value or 0.0
    ends = [start]
    for gain in data.gains:
        one = gain.after[index]
        ends += [x for x in (one.low, one.value) if x is not None and np.isfinite(x)]
    low = min(ends)
    if index:
        low = 0.0
    reach = max(start - low, 0.05 * abs(start), 1e-6)
    return low - (0 if index else 0.08 * reach), start + 0.35 * reach
