"""Panels: where axes stand in a picture, alone or as small diagrams side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calibtool.diagrams import marks
from calibtool.diagrams.scales import Scale
from calibtool.diagrams.style import Style
from calibtool.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

LOWER = 0.2  # height of the histogram beneath a panel, as a share of the panel's
SPACE = 0.05  # between the two, likewise
APART = 1.35  # sizes of text from the panel to the histogram, at least
PANEL_WIDTH = 0.215  # inches per point of text: narrower panels have no room for their numbers
PAGE = 12.0  # inches: about the height of A4; taller grids are drawn on several pages
ROW = 1.4  # height of a row of panels with histograms, as a share of the width of a column
MOST_COLUMNS = 4  # more panels side by side are too small to be compared


def square(axes: Axes, scale: Scale, style: Style) -> None:
    """Make a square panel with the scale of scores on both axes, and its diagonal."""
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    scale.frame(axes)
    marks.diagonal(axes, style, scale.even())


def beneath(axes: Axes, *, space: float = SPACE) -> Axes:
    """Return smaller axes below `axes`, on the same x axis, for a histogram.

    They keep apart by a line of text at least: the lowest number of one stands beside the highest
    of the other.
    """
    size = axes.yaxis.get_major_ticks(1)[0].label1.get_fontproperties().get_size_in_points()
    wide = min(marks.inner_width(axes), axes.bbox.height / axes.figure.dpi)
    space = max(space, APART * size / 72 / wide)
    lower = axes.inset_axes((0, -space - LOWER, 1, LOWER), sharex=axes)
    axes.tick_params(labelbottom=False)
    return lower


def inside(axes: Axes) -> SubFigure:
    """Return the place of `axes` as a figure of its own, for a diagram of several panels.

    Raises UsageError if the axes are in no grid of subplots.
    """
    spec = axes.get_subplotspec()
    if spec is None:
        raise UsageError(
            "this diagram has several panels: give axes made by subplots(), whose place it takes"
        )
    parent = axes.figure
    axes.remove()
    return parent.add_subfigure(spec)


def shared_key(
    place: SubFigure, style: Style, handles: Sequence[Any], entries: Sequence[marks.Entry]
) -> None:
    """Draw the key of several panels above them."""
    from calibtool.diagrams import room

    look: dict[str, Any] = {"loc": "outside upper left", "frameon": False}
    legend = place.legend(handles, marks.key_labels(style, entries), fontsize=style.small, **look)
    legend.set_gid("key")
    room.wrap_key(legend, room.Room(place, less=style.text))


def grid_shape(panels: int, width: float, style: Style) -> tuple[int, int]:
    """Return rows and columns of small panels in a picture of `width` inches."""
    columns = max(1, min(panels, int(width / (PANEL_WIDTH * style.text)), MOST_COLUMNS))
    rows = -(-panels // columns)
    return rows, -(-panels // rows)  # the panels are spread evenly over these rows


def pages(
    panels: int, width: float, style: Style, *, below: float = 0.0, row: float = ROW
) -> list[range]:
    """Return the numbers of the panels on each page, about as many on each.

    Args:
        panels: their number.
        width: of the picture, in inches.
        style: gives the size of the text.
        below: inches on every page that something else takes.
        row: height of a row, as a share of the width of a column.
    """
    rows, columns = grid_shape(panels, width, style)
    fit = max(1, int((PAGE - below) / (row * width / columns)))
    each = -(-panels // -(-rows // fit))
    return [range(start, min(start + each, panels)) for start in range(0, panels, each)]
