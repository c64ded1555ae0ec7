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

DODGE = 0.3  # between the marks of two series, in sizes of text: about twice the width of a bar


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


def are_side_by_side(crowd: int) -> bool:
    """Return whether the bins of a crowd of curves are drawn side by side; of too many, the marks
    have no intervals that would hide one another."""
    return 1 < crowd <= marks.WITH_INTERVALS


def _beside(axes: Axes, index: int, scale: Scale, style: Style, crowd: int) -> Any:
    """Return the transformation of series `index` of a crowd: beside the others along the diagonal,
    so that each mark keeps its distance to it."""
    from matplotlib.transforms import offset_copy

    if not are_side_by_side(crowd):
        return axes.transData
    away = (index - (crowd - 1) / 2) * DODGE * style.text
    steep = np.hypot(1, scale.slope)
    across, up = away * np.sqrt(2) / steep, away * np.sqrt(2) * scale.slope / steep
    figure: Any = axes.figure
    return offset_copy(axes.transData, fig=figure, x=across, y=up, units="points")


def draw_bins(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, intervals: bool, crowd: int
) -> None:
    """Draw the bins as points, as large as their share of the rows, with their intervals."""
    colour, some = style.colour(index), np.isfinite(curve.outcome)
    x, y = scale.on_x(curve.score[some]), scale.on_y(curve.outcome[some])
    share = curve.mass[some] / curve.mass.max()
    thick, beside = np.sqrt(share), _beside(axes, index, scale, style, crowd)
    if crowd > 1:  # a line joins the points of a series; it is thin where there are few rows
        marks.thick_line(
            axes,
            x,
            y,
            style.line * (0.1 + 0.9 * np.minimum(thick, 0.6)),
            color=colour,
            linestyle=style.dash(index),
            alpha=0.8,
            transform=beside,
            zorder=2.5,
            gid=f"curve-{index}",
        )
    if intervals:
        low, high = scale.on_y(curve.low[some]), scale.on_y(curve.high[some])
        width = style.line * (0.35 + 0.65 * thick)
        gid = f"bars-{index}"
        marks.bars(axes, x, low, high, colour=colour, width=width, gid=gid, transform=beside)
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
        transform=beside,
        gid=f"points-{index}",
    )


def draw_line(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, intervals: bool, crowd: int
) -> None:
    """Draw a line as thick as the density of the scores, with its band; lines of several series
    are dashed, and so are the edges of their bands."""
    colour = style.colour(index)
    x, y = scale.on_x(curve.score), scale.on_y(curve.outcome)
    if intervals:
        low, high = scale.on_y(curve.low), scale.on_y(curve.high)
        marks.band(axes, x, low, high, colour=colour, gid=f"band-{index}")
        if crowd > 1:
            edge: dict[str, Any] = {"color": colour, "lw": 0.35 * style.line, "zorder": 3}
            for end, ys in (("low", low), ("high", high)):
                axes.plot(x, ys, ls=style.dash(index), gid=f"{end}-{index}", **edge)
    if crowd > 1:
        look: dict[str, Any] = {"color": colour, "ls": style.dash(index), "zorder": 4}
        axes.plot(x, y, lw=style.line * (1.2 if intervals else 0.8), gid=f"curve-{index}", **look)
        return
    thick = np.full(len(x), style.line)
    if _is_density(curve):
        thick = style.line * (0.55 + 2.2 * np.sqrt(curve.mass / curve.mass.max()))
    marks.thick_line(
        axes, x, y, thick, color=colour, capstyle="round", zorder=4, gid=f"curve-{index}"
    )


def _is_density(curve: Curve) -> bool:
    """Return whether `mass` is a density: shares of isotonic cells add up to 1, the density of a
    smooth curve on its grid does not."""
    return len(curve.score) > 2 and not np.isclose(curve.mass.sum(), 1.0)


def handle(index: int, style: Style, *, line: bool = False) -> Line2D:
    """Return the handle of a series in the key: its marker on its line, or its line alone."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"color": style.colour(index), "ls": style.dash(index)}
    if line:
        return Line2D([], [], lw=1.6 * style.line, **look)
    look |= {"marker": style.marker(index), "ms": 0.6 * style.text}
    return Line2D([], [], lw=style.line, mec=style.paper, mew=style.line * 0.3, **look)
