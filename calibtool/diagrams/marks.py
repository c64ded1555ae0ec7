"""The marks and texts of pictures.

Each mark that carries data has a gid, by which an SVG and the tests find it: "band", "bars",
"curve", "points", "histogram" and a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from calibtool.diagrams.digits import brief, together
from calibtool.diagrams.style import Style
from calibtool.formatting import changed, joined
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

INNER = 0.78  # of the width of a picture at the width of a paper's column: that of its axes
WITH_INTERVALS = 4  # curves in one panel; the intervals of more would hide one another
# names of metrics in pictures
SHORT = {
    "ece": "ECE",
    "ada-ece": "ada-ECE",
    "smece": "smECE",
    "mcb": "MCB",
    "dsc": "DSC",
    "unc": "UNC",
    "nll": "NLL",
    "aurc": "AURC",
    "e-aurc": "E-AURC",
    "classwise-ece": "classwise ECE",
    "auroc-correct": "AUROC",
    "auroc": "AUROC",
    "top-label-ece": "top-label ECE",
    "ici": "ICI",
    "set-coverage": "Coverage",
    "set-size": "Mean size",
}


# ------------------------------------------------------------------ marks


def diagonal(axes: Axes, style: Style, at: Array) -> None:
    """Draw the line on which a perfectly calibrated model lies."""
    axes.plot(at, at, color=style.muted, lw=style.line * 0.6, zorder=1.5, gid="diagonal")


def band(
    axes: Axes,
    x: Array,
    low: Array,
    high: Array,
    *,
    colour: str,
    gid: str,
    alpha: float = 0.22,
    zorder: float = 2,
) -> None:
    """Draw a band between two curves, where both are finite."""
    some = np.isfinite(low) & np.isfinite(high)
    if some.any():
        axes.fill_between(
            x, low, high, where=some, color=colour, alpha=alpha, lw=0, zorder=zorder, gid=gid
        )


def thick_line(axes: Axes, x: Array, y: Array, width: Array, **look: Any) -> None:
    """Draw a line with a width at each point, where the points are finite."""
    from matplotlib.collections import LineCollection

    points = np.stack([x, y], axis=1)
    segments = np.stack([points[:-1], points[1:]], axis=1)
    some = np.isfinite(segments).all(axis=(1, 2))
    thin = np.minimum(width[:-1], width[1:])[some]
    axes.add_collection(LineCollection(list(segments[some]), linewidths=thin, **look))


def bars(
    axes: Axes,
    x: Array,
    low: Array,
    high: Array,
    *,
    colour: str,
    width: Array | float,
    gid: str,
    zorder: float = 3,
    **look: Any,
) -> None:
    """Draw an interval at each x as a vertical line."""
    some = np.isfinite(low) & np.isfinite(high)
    thick = np.broadcast_to(width, x.shape)[some]
    lines = axes.vlines(
        x[some], low[some], high[some], color=colour, lw=thick, zorder=zorder, **look
    )
    lines.set_gid(gid)
    lines.set_clip_on(False)


def expected(axes: Axes, edges: Array, least: Array, most: Array, style: Style) -> None:
    """Draw the consistency band of bins, where those of a perfect model would lie, as blocks."""
    some = np.isfinite(least) & np.isfinite(most)
    widths = np.diff(edges)[some]
    look: dict[str, Any] = {"align": "edge", "color": style.faint, "lw": 0, "zorder": 1}
    blocks = axes.bar(edges[:-1][some], (most - least)[some], widths, least[some], **look)
    for k, block in enumerate(blocks):
        block.set_gid(f"expected-{k}")


def percent_axis(axes: Axes, *, which: str = "y") -> None:
    """Print the ticks of an axis as percentages."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(_percent))


def _percent(value: float, at: int | None = None) -> str:
    return f"{100 * value:.6g} %" if value else "0"


def few_ticks(most: int) -> Any:
    """Return a locator that divides the axis into at most `most` parts, as there is room for."""
    from calibtool.diagrams import room

    return room.few_ticks(most)


def ticks(axis: Any, *choices: Mapping[float, str]) -> None:
    """Show the first of `choices` of ticks whose labels do not meet."""
    from calibtool.diagrams import room

    room.set_ticks(axis, *choices)


# ------------------------------------------------------------------ words


def estimate_text(estimate: Estimate, *, alone: bool = False) -> str:
    """Return an estimate with its interval, which stands beside the corrected one; `alone` where
    there is no room for the plain value, and `corrected_note` says so.

    >>> estimate_text(Estimate("ece", 0.0648, low=0.0553, high=0.0721, corrected=0.0634))
    'ECE 0.065, corrected 0.063 [0.055, 0.072]'
    >>> estimate_text(Estimate("nll", 0.454, low=0.4086, high=0.5106, corrected=0.454))
    'NLL 0.454 [0.409, 0.511]'
    >>> estimate_text(Estimate("ece", 0.03712, low=0.03705, high=0.0372, corrected=0.03712))
    'ECE 0.0371 [0.0370, 0.0372]'
    """
    name = short(estimate)
    if estimate.value is None or estimate.best is None:
        return f"{name} not defined"
    value = estimate.best if alone else estimate.value
    if estimate.low is None or estimate.high is None:
        return f"{name} {brief(value)}"
    shown, best, low, high = together([value, estimate.best], (estimate.low, estimate.high))
    corrected = "" if best == shown else f", corrected {best}"
    return f"{name} {shown}{corrected} [{low}, {high}]"


def corrected_note(estimates: Iterable[Estimate]) -> str:
    """Return what explains estimates that stand alone; "" if all are their plain values."""
    names = [short(e) for e in estimates if e.value is not None and e.best != e.value]
    return f"{joined(list(dict.fromkeys(names)))}: corrected for bias" if names else ""


def change_text(before: Estimate, after: Estimate, change: Estimate) -> str:
    """Return a change with its interval, and the two numbers whose difference it is.

    >>> ends = [Estimate("ece", x, low=0, high=1, corrected=x) for x in (0.0646, 0.0103)]
    >>> change_text(*ends, Estimate("ece", -0.0543, low=-0.061, high=-0.042, corrected=-0.0543))
    'ECE 0.065 to 0.010: -0.055 [-0.061, -0.042]'
    """
    if change.value is None:
        return f"{short(change)} not defined"
    plain = change.corrected is None
    ends = [e.value if plain else e.best for e in (before, after)]
    first, second, moved, reach = changed(ends[0], ends[1], change.low, change.high, digits=3)
    return f"{short(change)} {first} to {second}: {moved} {reach}".rstrip()


def short(estimate: Estimate) -> str:
    """Return the name of a metric in pictures."""
    name = estimate.name.split("(")[0]
    return SHORT.get(name, name)


def small_print(axes: Axes, style: Style, text: str) -> None:
    """Explain the marks in a line or two under the axes and the name of their x axis."""
    from calibtool.diagrams import room

    text = text if style.caption is None else style.caption
    if not text:
        return
    note = axes.annotate(
        text,
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -3.4 * style.text),
        textcoords="offset points",
        va="top",
        ha="left",
        fontsize=style.small * 0.93,
        color=style.muted,
        linespacing=1.25,
        annotation_clip=False,
        gid="caption",
    )
    room.wrap_below(note, axes, room.Room(axes), 0.5 * style.text)


Entry: TypeAlias = str | tuple[str, str]  # of a key: a name, or a name and its numbers
Place = Literal["upper left", "lower right", "above"]


def foot(place: SubFigure, style: Style, text: str) -> None:
    """Write small print under several panels."""
    from calibtool.diagrams import room

    text = text if style.caption is None else style.caption
    if not text:
        return
    size = style.small * 0.93
    x = room.EDGE * place.dpi / place.bbox.width
    layout: dict[str, Any] = {"x": x, "ha": "left", "linespacing": 1.25, "gid": "caption"}
    note = place.supxlabel(text, fontsize=size, color=style.muted, **layout)
    room.wrap(note, room.Room(place))


def corner_place(
    lines: Sequence[str], taken: Sequence[tuple[Array, Array]], wide: float, style: Style
) -> Place:
    """Return the corner without marks for `lines`, or "above" if there are marks in both corners.

    Args:
        lines: the text.
        taken: x and y of the marks, as shares of the axes.
        wide: width of the axes, in inches; they are square.
        style: gives the size of the text.
    """
    x, y = (np.concatenate([np.ravel(pair[k]) for pair in taken]) for k in range(2))
    across = (0.56 * style.text * max(map(len, lines)) / 72) / wide + 0.06
    down = 1.4 * style.text * len(lines) / 72 / wide + 0.06
    if not ((x < across) & (y > 1 - down)).any():
        return "upper left"
    return "above" if ((x > 1 - across) & (y < down)).any() else "lower right"


def corner(axes: Axes, style: Style, lines: Sequence[str], place: Place) -> None:
    """Write numbers in a corner of the axes, or above them."""
    if not style.stats:
        return
    if place == "above":
        header(axes, style, lines)
        return
    from calibtool.diagrams import room

    left = place == "upper left"
    text = axes.text(
        0.025 if left else 0.98,
        0.98 if left else 0.025,
        "\n".join(lines),
        transform=axes.transAxes,
        fontsize=style.text,
        ha="left" if left else "right",
        va="top" if left else "bottom",
        linespacing=1.35,
        zorder=6,
        gid="corner",
    )
    room.wrap(text, room.Room(axes, share=0.95))


def header(
    axes: Axes,
    style: Style,
    lines: Sequence[str],
    *,
    name: str = "",
    small: bool = False,
    share: float = 1.0,
) -> None:
    """Write lines of text above the axes, in a share of their width.

    Args:
        axes: those below.
        style: says whether there are numbers.
        lines: numbers, in words.
        name: what is shown, which stands above them.
        small: whether it is as small as the labels of ticks.
        share: of the width of the axes.
    """
    from calibtool.diagrams import room

    lines = [*([style.named(name)] if name else []), *(lines if style.stats else [])]
    size = style.small if small else style.text
    font: dict[str, Any] = {"fontsize": size, "linespacing": 1.3, "gid": "corner"}
    text = axes.set_title("\n".join(lines), loc="left", pad=0.5 * style.text, **font)
    room.wrap(text, room.Room(axes, share, beyond=share == 1.0))


def spans(x: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return vertical lines as points, 24 per line: close enough for `corner_place`."""
    some = np.isfinite(low) & np.isfinite(high) & np.isfinite(x)
    share = np.linspace(0, 1, 24)[:, None]
    return np.repeat(x[None, some], 24, 0), low[some] + share * (high[some] - low[some])


def key(axes: Axes, style: Style, handles: Sequence[Any], entries: Sequence[Entry]) -> None:
    """Draw the key of the series above the axes, in several columns if there is room."""
    from matplotlib.transforms import ScaledTranslation

    from calibtool.diagrams import room

    labels = key_labels(style, entries)
    before = 3.4 * style.text  # the key begins above the names of the ticks
    wide = 72 * inner_width(axes) + before
    longest = max(room.width_of_text(label, size=style.small) for label in labels)
    columns = int(wide / (longest + 4 * style.small))
    columns = max(1, min(columns, -(-len(labels) // 3)))
    left = ScaledTranslation(-before / 72, 0, axes.figure.dpi_scale_trans)
    legend = axes.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        bbox_transform=axes.transAxes + left,
        ncols=columns,
        frameon=False,
        handlelength=2.0,
        handletextpad=0.5,
        columnspacing=1.4,
        labelspacing=0.32,
        borderaxespad=0.2,
        borderpad=0.2,
        fontsize=style.small,
    )
    legend.set_gid("key")
    room.wrap_key(legend, room.Room(axes, less=-before), columns)


def key_labels(style: Style, entries: Sequence[Entry]) -> list[str]:
    """Return the labels of a key, from the names of its series, or names and numbers."""
    labels = []
    for place, entry in enumerate(entries):
        name, numbers = (entry, "") if isinstance(entry, str) else entry
        name = style.named(name, place)
        labels.append(f"{name}: {numbers}" if numbers and style.stats else name)
    return labels


def width_of(axes: Axes) -> float:
    """Return the width of the place of the axes in their figure, in inches."""
    figure: Any = axes.figure
    width, spec = float(figure.bbox.width / figure.dpi), axes.get_subplotspec()
    if spec is None:
        return width * axes.get_position().width / INNER
    grid = spec.get_gridspec()
    parts = np.asarray(grid.get_width_ratios(), float)
    return float(width * parts[spec.colspan.start : spec.colspan.stop].sum() / parts.sum())


def inner_width(axes: Axes) -> float:
    """Return about how wide the axes will be, in inches, before they are laid out."""
    return INNER * width_of(axes)


def long_name(text: str, longest: int) -> str:
    """Return a name, cut in the middle if it has more than `longest` letters.

    >>> long_name("abcdefghij", 7)
    'abc…hij'
    """
    if len(text) <= longest:
        return text
    left = longest // 2
    return f"{text[:left]}…{text[len(text) - (longest - 1 - left) :]}"
