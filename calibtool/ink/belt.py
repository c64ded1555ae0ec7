"""Calibration belts in ink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibtool.diagrams.belt import BeltDiagram
from calibtool.ink import marks
from calibtool.ink.reliability import AXES, LOWER, SPACE
from calibtool.ink.scales import LINEAR, Scale
from calibtool.ink.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALPHA = (0.32, 0.16)  # of the narrow and of the wide band


def height(data: BeltDiagram, width: float, style: Style) -> float:
    """The panel is square: the height follows."""
    return width


def draw(data: BeltDiagram, axes: Axes, style: Style) -> None:
    """Curve and bands over the diagonal; a histogram beneath."""
    belt, scale, colour = data.belt, Scale(LINEAR, LINEAR, logit=False), style.colour(0)
    lower = marks.beneath(axes, LOWER, SPACE)
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    scale.frame(axes)
    marks.diagonal(axes, style, scale.even())
    for k in np.argsort(belt.level)[::-1]:
        alpha = ALPHA[0] if k == np.argmin(belt.level) else ALPHA[1]
        band = (belt.grid, belt.low[k], belt.high[k])
        marks.band(axes, *band, colour=colour, alpha=alpha, gid=f"band-{k}")
    axes.plot(belt.grid, belt.curve, color=colour, lw=style.line, zorder=4, gid="curve-0")
    lines = _corner(data)
    taken = [(scale.even(), scale.even()), (belt.grid, belt.curve)]
    taken += [(belt.grid, edge) for edge in (belt.low[-1], belt.high[-1])]
    wide = marks.width_of(axes) * axes.get_position().width
    marks.corner(axes, style, lines, marks.corner_place(lines, taken, wide, style))
    x_name, y_name = AXES[data.view]
    axes.set_ylabel(y_name)
    lower.set_xlabel(x_name)
    scale.x_frame(lower)
    marks.histogram(lower, data.histogram, style)
    levels = " and ".join(f"{100 * level:g} %" for level in belt.level)
    marks.small_print(lower, style, f"Bands: {levels} confidence")


def _corner(data: BeltDiagram) -> list[str]:
    p = data.belt.p_value
    test = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    numbers = [marks.estimate_text(one) for one in data.estimates[:1]]
    return [f"calibrated? {test}", *numbers, f"n = {data.data[0].rows:,}"]
