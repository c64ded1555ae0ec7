"""The series of a reliability diagram: how each curve, its bands and its histogram are drawn.

`index` is the number of the series in its panel, which gives its colour, marker and dashes; `crowd`
is how many series the panel holds: marks are thinner where there are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams import marks
from calibtool.diagrams.curve import Curve
from calibtool.diagrams.scales import Scale
from calibtool.diagrams.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


def draw_expected(axes: Axes, curve: Curve, scale: Scale, style: Style) -> None:
    """Draw the consistency band: where a perfect model would lie."""
    least, most = scale.on_y(curve.least), scale.on_y(curve.most)
    if curve.edges is None:
        marks.band(
            *(axes, scale.on_x(curve.score), least, most),
            colour=style.faint,
            alpha=1.0,
            zorder=1,
            gid="expected-0",
        )
        return
    marks.expected(axes, scale.on_x(curve.edges), least, most, style)


def draw_bins(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, intervals: bool, crowd: int
) -> None:
    """Draw the bins as points, as large as their share of the rows, with their intervals."""
    colour, some = style.colour(index), np.isfinite(curve.outcome)
    x, y = scale.on_x(curve.score[some]), scale.on_y(curve.outcome[some])
    share = curve.mass[some] / curve.mass.max()
    thick = np.sqrt(share)
    if crowd > 1:  # a line joins the points of a series; it is thin where there are few rows
        marks.thick_line(
            axes,
            x,
            y,
            style.line * (0.1 + 0.9 * np.minimum(thick, 0.6)),
            color=colour,
            linestyle=style.dash(index),
            alpha=0.8,
            zorder=2.5,
            gid=f"curve-{index}",
        )
    if intervals:
        low, high = scale.on_y(curve.low[some]), scale.on_y(curve.high[some])
        width = style.line * (0.35 + 0.65 * thick)
        marks.bars(axes, x, low, high, colour=colour, width=width, gid=f"bars-{index}")
    grow = 0.95 if crowd <= marks.WITH_INTERVALS else 0.6
    # the area of a point grows with its share of the rows, from a smallest one that is still seen
    area = (0.34 * style.text) ** 2 + share * ((grow * style.text) ** 2 - (0.34 * style.text) ** 2)
    axes.scatter(
        x,
        y,
        s=area,
        color=colour,
        marker=style.marker(index),
        edgecolors=style.paper,
        linewidths=style.line * 0.35,
        zorder=5,
        clip_on=False,
        gid=f"points-{index}",
    )


def draw_line(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, intervals: bool, crowd: int
) -> None:
    """Draw a line as thick as the density of the scores, with its band."""
    colour = style.colour(index)
    x, y = scale.on_x(curve.score), scale.on_y(curve.outcome)
    if intervals:
        low, high = scale.on_y(curve.low), scale.on_y(curve.high)
        marks.band(axes, x, low, high, colour=colour, gid=f"band-{index}")
    thick = np.full(len(x), style.line)
    if _is_density(curve):
        grow = 2.2 if crowd <= marks.WITH_INTERVALS else 0.8
        thick = style.line * (0.55 + grow * np.sqrt(curve.mass / curve.mass.max()))
    marks.thick_line(
        axes, x, y, thick, color=colour, capstyle="round", zorder=4, gid=f"curve-{index}"
    )


def _is_density(curve: Curve) -> bool:
    """Return whether `mass` is a density: shares of isotonic cells add up to 1, the density of a
    smooth curve on its grid does not."""
    return len(curve.score) > 2 and not np.isclose(curve.mass.sum(), 1.0)


def draw_histogram(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, crowd: int
) -> None:
    """Draw the histogram of the scores: filled, or as an outline where others overlap it."""
    edges = scale.on_x(curve.histogram.edges)
    look: dict[str, Any] = {"gid": f"histogram-{index}", "color": style.colour(index)}
    if crowd == 1:
        axes.stairs(curve.histogram.mass, edges, fill=True, alpha=0.55, lw=0, **look)
    else:
        axes.stairs(
            curve.histogram.mass,
            edges,
            lw=style.line * (0.75 if crowd <= marks.WITH_INTERVALS else 0.4),
            ls=style.dash(index),
            **look,
        )


def handle(index: int, style: Style, *, line: bool = False) -> Line2D:
    """Return the handle of a series in the key: its marker on its line, or its line alone."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"color": style.colour(index), "ls": style.dash(index)}
    if line:
        return Line2D([], [], lw=1.6 * style.line, **look)
    look |= {"marker": style.marker(index), "ms": 0.6 * style.text}
    return Line2D([], [], lw=style.line, mec=style.paper, mew=style.line * 0.3, **look)
