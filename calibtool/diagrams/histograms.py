"""Histograms: their bars, and the scale on which all of them are seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams import marks
from calibtool.diagrams.curve import Histogram
from calibtool.diagrams.scales import Scale
from calibtool.diagrams.style import Style
from calibtool.formatting import percent
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Share of the rows in one bar from which a log scale is considered, beneath a diagram and in a
# diagram of its own, whose bars are three times as high.
BENEATH, ALONE = 0.5, 0.9
HIDDEN = 0.04  # of the highest bar: lower ones are thinner than a line beneath a diagram
FIRST = 0.5  # height of the lowest bar on a log scale, in decades, so that it is seen
# Between two ticks, as a share of the height of all bars: a line of text beneath a diagram, and in
# a diagram of its own.
APART_BENEATH, APART = 0.25, 0.08
SIDE_BY_SIDE = 60  # bars that stand side by side; each of more would be thinner than a line
SOLID = 2  # series whose bars are solid; those of others are outlined
FULL = 0.9  # of a bin's width that its bars take, so that bins can be told apart


def needs_log(masses: Sequence[Array], dominant: float = BENEATH) -> bool:
    """Return whether bars are drawn on a log scale: one holds more than a `dominant` share of the
    rows, and beside it others are too low to be seen.

    >>> needs_log([np.array([0.93, 0.05, 0.02])]), needs_log([np.array([0.6, 0.4])])
    (True, False)
    """
    values = np.concatenate([np.ravel(mass) for mass in masses])
    top = float(values.max(initial=0))
    return bool(top > dominant and ((values > 0) & (values < HIDDEN * top)).any())


def draw(
    axes: Axes, bars: Sequence[Histogram], style: Style, *, log: bool, scale: Scale | None = None
) -> None:
    """Draw the histograms of one panel: one is filled; bars of several stand side by side, or are
    outlines if there are many.

    Args:
        axes: beneath the diagram.
        bars: a histogram per series.
        style: gives colours and dashes.
        log: whether the axis is on a log scale.
        scale: that of the scores; linear from 0 to 1 if None.
    """
    crowd = len(bars)
    for index, each in enumerate(bars):
        edges = each.edges if scale is None else scale.on_x(each.edges)
        look: dict[str, Any] = {"gid": f"histogram-{index}", "color": style.colour(index)}
        if crowd == 1:
            axes.stairs(each.mass, edges, fill=True, alpha=0.55, lw=0, **look)
        elif crowd * int(np.count_nonzero(np.diff(edges))) <= SIDE_BY_SIDE:
            inner = _side_by_side(edges, index, crowd, scale)
            mass = np.stack([np.zeros(len(each.mass)), each.mass], axis=1).ravel()
            if index >= SOLID:  # in grey, the colours of the first series come again
                look |= {"fc": (style.colour(index), 0.25), "ec": look.pop("color")}
            thin = style.line * 0.4 if index >= SOLID else 0.0
            axes.stairs(np.append(mass, 0.0), inner, fill=True, lw=thin, **look)
        else:
            thin = style.line * (0.75 if crowd <= marks.WITH_INTERVALS else 0.4)
            axes.stairs(each.mass, edges, lw=thin, ls=style.dash(index), **look)
    masses = [each.mass for each in bars]
    top = float(max(mass.max() for mass in masses))
    if log:
        _log_axis(axes, masses, (0.0, top), 0.0, APART_BENEATH)
    else:
        axes.set_ylim(0, top * 1.02)
        marks.ticks(axes.yaxis, {0: "0", top: percent(top, 0)}, {top: percent(top, 0)})


def mirror_on_log(axes: Axes, up: Array, down: Array) -> None:
    """Turn the linear axis of two histograms, one upwards and one downwards, into a log axis; the
    room for words at both ends keeps its share."""
    top, bottom = float(up.max(initial=0)), float(down.max(initial=0))
    room = (axes.get_ylim()[1] - top) / (top + bottom)
    _log_axis(axes, [up, down], (bottom, top), room, APART)


def _side_by_side(edges: Array, index: int, crowd: int, scale: Scale | None) -> Array:
    """Return the edges of the bars of a series, and of the gaps between them: from the left edge of
    the first bin to the right edge of the last, (2 M + 2,)."""
    at = edges if scale is None else scale.share(edges)[0]
    wide = np.diff(at)
    left = at[:-1] + wide * (0.5 + FULL * (index / crowd - 0.5))
    ends = np.stack([left, left + wide * FULL / crowd], axis=1).ravel()
    inner = np.concatenate([at[:1], ends, at[-1:]])
    return inner if scale is None else scale.at_share(inner)


def _log_axis(
    axes: Axes, masses: Sequence[Array], highest: tuple[float, float], room: float, apart: float
) -> None:
    """Set a log axis on both sides of 0, on which the lowest bar is `FIRST` of a decade high.

    Args:
        axes: the bars' own.
        masses: their heights.
        highest: bars downwards and upwards; 0 for none.
        room: to be left at each end, as a share of the bars' height.
        apart: least distance of ticks, as a share of the bars' height.
    """
    from matplotlib.ticker import FixedLocator, NullFormatter

    values = np.concatenate([np.ravel(mass) for mass in masses])
    least = float(values[values > 0].min())

    def height(mass: float) -> float:
        return FIRST + float(np.log10(mass / least)) if mass > 0 else 0.0

    axes.set_yscale("symlog", linthresh=least, linscale=FIRST, subs=[])
    bottom, top = highest
    whole = height(top) + height(bottom)
    margin = room * whole + 0.02 * whole
    down, up = (least * 10 ** (height(most) + margin - FIRST) for most in (bottom, top))
    axes.set_ylim(-down if bottom else 0.0, up)
    ticks, minor = {0.0: "0"}, []
    for sign, most in ((1, top), (-1, bottom)):
        if not most:
            continue
        first, last = (int(np.ceil(np.log10(least) - 1e-9)), int(np.floor(np.log10(most))))
        decades = [10.0**k for k in range(first, last + 1)]
        minor += [sign * decade for decade in decades]
        ticks[sign * most] = percent(most, 0)
        # one decade between the ends, the one nearest to their middle
        free = [d for d in decades if apart < height(d) / whole < height(most) / whole - apart]
        for decade in sorted(free, key=lambda d: abs(height(d) - height(most) / 2))[:1]:
            ticks[sign * decade] = f"{100 * decade:g} %"
    ends = {at: text for at, text in ticks.items() if at in (0, top, -bottom)}
    marks.ticks(axes.yaxis, ticks, ends)
    axes.yaxis.set_minor_locator(FixedLocator(minor))
    axes.yaxis.set_minor_formatter(NullFormatter())
