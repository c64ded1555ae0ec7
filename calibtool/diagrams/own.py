"""The settings of a user of matplotlib: what they changed is kept on their Axes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams.style import STYLES, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADE = 0.12  # share of ink in areas behind the data: that of the paper style
DARK = 0.5  # a background whose brightest channel is below this needs light lines


def changed(names: Iterable[str]) -> set[str]:
    """Return those of the rcParams that the user set, by a file, a style sheet or in Python."""
    import matplotlib as mpl

    settings: Any = mpl.rcParams
    usual: Any = mpl.rcParamsDefault
    return {name for name in names if settings[name] != usual[name]}


def own_style(style: Style, axes: Axes) -> Style:
    """Return a style with the text size, the background, and the colours of the user's Axes.

    Colours of data and text are the user's where rcParams set them. On a dark background, those of
    the dark style stand in for colours that are made for a light one.
    """
    import matplotlib as mpl
    from matplotlib.colors import rgb_to_hsv, to_hex, to_rgb
    from matplotlib.font_manager import FontProperties

    kept = changed(("lines.linewidth", "text.color", "axes.prop_cycle"))
    settings: Any = mpl.rcParams
    size = FontProperties(size=settings["font.size"]).get_size_in_points()
    paper = to_hex(axes.get_facecolor())
    if rgb_to_hsv(to_rgb(paper))[2] < DARK:
        dark = STYLES["dark"]
        look = {name: getattr(dark, name) for name in ("ink", "muted", "faint", "series")}
        style = replace(style, **look)
    elif paper != style.paper:
        faint = (1 - SHADE) * np.array(to_rgb(paper)) + SHADE * np.array(to_rgb(style.ink))
        style = replace(style, faint=to_hex(tuple(faint)))
    line = style.line * size / style.text
    if "lines.linewidth" in kept:
        line = float(settings["lines.linewidth"])
    style = replace(style, text=size, line=line, paper=paper)
    if "text.color" in kept:
        style = replace(style, ink=to_hex(settings["text.color"]))
    colours = settings["axes.prop_cycle"].by_key().get("color")
    if "axes.prop_cycle" in kept and colours:
        style = replace(style, series=tuple(to_hex(colour) for colour in colours))
    return style
