"""One-vs-rest diagrams of the worst classes and the strip of all, in ink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams.classwise import Classwise
from calibtool.diagrams.record import Curve
from calibtool.ink import marks
from calibtool.ink.reliability import shape
from calibtool.ink.scales import LINEAR, Scale
from calibtool.ink.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRIP = 0.17  # height of the strip, of its width
NAMED = 24  # classes up to which the strip names each


def height(data: Classwise, width: float, style: Style) -> float:
    """Panels are square: the height follows."""
    return width


def draw(data: Classwise, axes: Axes, style: Style) -> None:
    """A panel a class, the worst first; below, every class as a column of its bins."""
    place = marks.inside(axes)
    width = place.bbox.width / place.dpi
    rows, columns = shape(len(data.curves), width, style)
    panel = width / columns - 0.35
    grid = place.add_gridspec(
        rows + 1, columns, height_ratios=[*[panel] * rows, STRIP * (width - 0.6)]
    )
    for index, curve in enumerate(data.curves):
        ax = place.add_subplot(grid[index // columns, index % columns])
        _panel(ax, curve, style)
        if index % columns:
            ax.set_yticklabels([])
        else:
            ax.set_ylabel("Frequency")
        if index + columns < len(data.curves):
            ax.set_xticklabels([])
        else:
            ax.set_xlabel("P(class)")
    _strip(place.add_subplot(grid[rows, :]), data, style)
    level = f"{100 * data.level:g} %"
    marks.foot(
        place,
        style,
        f"Bars: {level} intervals; grey: {level} of perfect models; n: rows of the class. "
        f"{marks.estimate_text(data.estimates[0])} over {len(data.names):,} classes",
    )


def _panel(axes: Axes, curve: Curve, style: Style) -> None:
    colour, some = style.colour(0), np.isfinite(curve.outcome)
    assert curve.edges is not None
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    scale = Scale(LINEAR, LINEAR, logit=False)
    scale.frame(axes)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    marks.diagonal(axes, style, scale.even())
    marks.expected(axes, curve.edges, curve.least, curve.most, style)
    share = np.sqrt(curve.mass[some] / curve.mass[1:].max()) if len(curve.mass) > 1 else np.ones(1)
    thick = style.line * (0.35 + 0.5 * np.minimum(share, 1))
    x, y = curve.score[some], curve.outcome[some]
    low, high = curve.low[some], curve.high[some]
    marks.bars(axes, x, low, high, colour=colour, width=thick, gid="bars-0")
    axes.scatter(
        x,
        y,
        s=(0.42 * style.text) ** 2,
        color=colour,
        edgecolors=style.paper,
        linewidths=style.line * 0.25,
        clip_on=False,
        zorder=5,
        gid="points-0",
    )
    lines = [
        marks.long_name(curve.label, 22),
        marks.estimate_text(curve.estimates[0]),
        f"n = {curve.rows:,}",
    ]
    marks.header(axes, style, lines, small=True)


def _strip(axes: Axes, data: Classwise, style: Style) -> None:
    """Columns are classes, the worst to the left; rows are bins; colour is the gap that noise does
    not explain."""
    strip = data.strip
    shown = np.where(strip.outside, strip.gap, 0.0).T
    shown = np.where(strip.n.T > 0, shown, np.nan)
    most = float(np.nanquantile(np.abs(shown), 0.995)) if np.isfinite(shown).any() else 0.0
    most = min(max(most, 0.05), 1.0)
    image = axes.imshow(
        shown,
        cmap=_colours(style),
        vmin=-most,
        vmax=most,
        aspect="auto",
        origin="lower",
        extent=(0, len(data.order), 0, 1),
        interpolation="nearest",
        gid="strip",
    )
    axes.set_box_aspect(STRIP)
    axes.set_anchor("N")
    axes.set_yticks([0, 1], ["0", "1"])
    axes.set_ylabel("P(class)")
    bar = axes.inset_axes((0.62, 1.12, 0.38, 0.14))
    drawn = axes.figure.colorbar(image, cax=bar, orientation="horizontal")
    drawn.outline.set_visible(False)
    drawn.set_ticks([-most, 0, most], labels=[f"{-most:.2g}", "0", f"+{most:.2g}"])
    bar.tick_params(labelsize=style.small * 0.9, length=0, pad=1, top=True, labeltop=True)
    bar.tick_params(bottom=False, labelbottom=False)
    axes.set_title("Every class: frequency - P, beyond noise", fontsize=style.small, loc="left")
    if len(data.order) <= NAMED:
        names = [marks.long_name(data.names[k], 14) for k in data.order]
        turned = max(map(len, names)) > 3
        how: dict[str, Any] = {"rotation": 60, "ha": "right"} if turned else {}
        axes.set_xticks(np.arange(len(names)) + 0.5, names, **how)
        axes.tick_params(axis="x", length=0, labelsize=style.small * 0.93)
    else:
        axes.set_xlabel("Classes, the highest one-vs-rest ECE first")


def _colours(style: Style) -> Any:
    """From too high a score, over nothing, to too low a score; grey where there are no rows."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [style.colour(1), style.paper, style.colour(0)]
    return LinearSegmentedColormap.from_list("gap", ends).with_extremes(bad=style.faint)
