"""Histograms of confidence by outcome, in ink: right answers up, wrong ones down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibtool.diagrams.confidence import HIGH, Confidence, Group
from calibtool.ink import marks
from calibtool.ink.reliability import AXES
from calibtool.ink.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def height(data: Confidence, width: float, style: Style) -> float:
    """Wide rather than high."""
    return 0.6 * width + 5 * style.text / 72


def draw(data: Confidence, axes: Axes, style: Style) -> None:
    """Both on one scale: shares of the right answers, and of the wrong ones."""
    up, down = data.groups
    top, bottom = float(up.mass.max()), float(down.mass.max())
    room = 0.32 * (top + bottom)  # for words
    for index, (group, sign) in enumerate(((up, 1), (down, -1))):
        how: dict[str, Any] = {"fill": True, "lw": 0, "alpha": 0.85, "gid": f"histogram-{index}"}
        axes.stairs(sign * group.mass, data.edges, color=style.colour(index), **how)
        axes.text(
            0.012,
            0.985 if sign > 0 else 0.015,
            _words(group),
            transform=axes.transAxes,
            va="top" if sign > 0 else "bottom",
            color=style.colour(index),
            fontsize=style.text,
        )
    axes.axhline(0, color=style.muted, lw=style.line * 0.5)
    axes.set_ylim(-bottom - room, top + room)
    axes.set_xlim(0, 1)
    ends = [marks.percent(bottom, 0), "0", marks.percent(top, 0)]
    axes.set_yticks([-bottom, 0, top], ends)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    axes.set_xlabel(AXES[data.view][0])
    axes.set_ylabel("Share of its own")
    head = [marks.estimate_text(data.estimates[0]), f"n = {data.data[0].rows:,}"]
    marks.header(axes, style, ["; ".join(head)])


def _words(group: Group) -> str:
    if not group.rows:
        return f"{group.label}: none"
    mean = marks.percent(group.mean, 0)
    high = marks.percent(group.high, 0)
    return f"{group.label} {group.rows:,}: mean {mean}, {high} above {HIGH:g}"
