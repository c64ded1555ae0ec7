"""What pictures are put together from. Each mark that carries data has a gid, by which it is found
in an SVG and in tests: "band", "bars", "curve", "points", "histogram" and a number."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from calibtool.diagrams.curve import Histogram
from calibtool.diagrams.style import Style
from calibtool.formatting import percent
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

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
}


# ------------------------------------------------------------------ places


def beneath(axes: Axes, share: float, gap: float) -> Axes:
    """Smaller axes below, on the same x axis; sizes as shares of the height of `axes`."""
    lower = axes.inset_axes((0, -gap - share, 1, share), sharex=axes)
    axes.tick_params(labelbottom=False)
    return lower


def inside(axes: Axes) -> SubFigure:
    """The place of the axes as a figure of its own, for diagrams of several panels."""
    spec = axes.get_subplotspec()
    if spec is None:
        from calibtool.errors import UsageError

        raise UsageError(
            "this diagram has several panels: give axes made by subplots(), whose place it takes"
        )
    parent = axes.figure
    axes.remove()
    return parent.add_subfigure(spec)


# ------------------------------------------------------------------ marks


def diagonal(axes: Axes, style: Style, at: Array) -> None:
    """Where a perfectly calibrated model lies."""
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
    """A band between two curves, where both are known."""
    some = np.isfinite(low) & np.isfinite(high)
    if some.any():
        axes.fill_between(
            x, low, high, where=some, color=colour, alpha=alpha, lw=0, zorder=zorder, gid=gid
        )


def thick_line(axes: Axes, x: Array, y: Array, width: Array, **how: Any) -> None:
    """A line with a width at each point, where it is known."""
    from matplotlib.collections import LineCollection

    points = np.stack([x, y], axis=1)
    segments = np.stack([points[:-1], points[1:]], axis=1)
    some = np.isfinite(segments).all(axis=(1, 2))
    thin = np.minimum(width[:-1], width[1:])[some]
    axes.add_collection(LineCollection(list(segments[some]), linewidths=thin, **how))


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
) -> None:
    """An interval at each x, upright."""
    some = np.isfinite(low) & np.isfinite(high)
    thick = np.broadcast_to(width, x.shape)[some]
    lines = axes.vlines(x[some], low[some], high[some], color=colour, lw=thick, zorder=zorder)
    lines.set_gid(gid)
    lines.set_clip_on(False)


def expected(axes: Axes, edges: Array, least: Array, most: Array, style: Style) -> None:
    """Where the bins of a perfect model would lie, as blocks."""
    some = np.isfinite(least) & np.isfinite(most)
    widths = np.diff(edges)[some]
    how: dict[str, Any] = {"align": "edge", "color": style.faint, "lw": 0, "zorder": 1}
    blocks = axes.bar(edges[:-1][some], (most - least)[some], widths, least[some], **how)
    for k, block in enumerate(blocks):
        block.set_gid(f"expected-{k}")


def histogram(axes: Axes, bars_: Histogram, style: Style) -> None:
    """The only histogram beneath a diagram, with its highest bar on the axis."""
    how: dict[str, Any] = {"fill": True, "alpha": 0.55, "lw": 0, "gid": "histogram-0"}
    axes.stairs(bars_.mass, bars_.edges, color=style.colour(0), **how)
    top_of(axes, float(bars_.mass.max()))


def top_of(axes: Axes, top: float) -> None:
    """The scale of a histogram: 0 and its highest bar."""
    axes.set_ylim(0, top * 1.02)
    axes.set_yticks([0, top], ["0", percent(top, 0)])


def percent_axis(axes: Axes, *, which: str = "y") -> None:
    """Ticks in per cent."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda x, at: f"{100 * x:.6g} %" if x else "0"))


def few_ticks(most: int) -> Any:
    """At most so many ticks and one."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most)


def inner_labels(
    axes: Axes, style: Style, ends: Sequence[tuple[float, str]], taken: Sequence[float]
) -> None:
    """The name of each line that ends apart from what is `taken`, above its right end."""
    low, high = axes.get_ylim()
    apart = 0.055 * (high - low)
    held = list(taken)
    for y, name in sorted(ends):
        if low <= y <= high and min(abs(y - other) for other in held) > apart:
            held.append(y)
            axes.annotate(
                name,
                (0.985, y),
                xycoords=axes.get_yaxis_transform(),
                xytext=(0, 0.25 * style.text),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=style.small * 0.93,
                color=style.muted,
            )


def end_labels(axes: Axes, style: Style, x: float, ends: Sequence[tuple[float, str]]) -> None:
    """The name of each line at its right end, moved apart where they would overlap, with a hair to
    where it belongs. Limits must be set before."""
    low, high = axes.get_ylim()
    tall = axes.figure.bbox.height / axes.figure.dpi * axes.get_position().height
    step = 1.9 * style.small * 0.93 / 72 / max(tall, 0.1) * (high - low)
    order = sorted(ends)
    at = [y for y, _ in order]
    for k in range(1, len(at)):
        at[k] = max(at[k], at[k - 1] + step)
    over = (at[-1] - (high - 0.2 * step)) if at else 0.0
    if over > 0:
        at[-1] -= over
        for k in range(len(at) - 2, -1, -1):
            at[k] = min(at[k], at[k + 1] - step)
    for y, (true, name) in zip(at, order, strict=True):
        axes.annotate(
            name,
            (x, true),
            xytext=(1.05, (y - low) / (high - low)),
            textcoords="axes fraction",
            va="center",
            fontsize=style.small * 0.93,
            color=style.muted,
            arrowprops={"arrowstyle": "-", "lw": 0.3, "color": style.muted, "shrinkA": 0}
            | {"shrinkB": 0, "relpos": (0, 0.5)},
            annotation_clip=False,
        )


# ------------------------------------------------------------------ words


def estimate_text(estimate: Estimate) -> str:
    """A number with its interval: "ECE 0.065 [0.054, 0.073]"."""
    name = short(estimate)
    if estimate.value is None:
        return f"{name} not defined"
    text = f"{name} {brief(estimate.value)}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{brief(estimate.low)}, {brief(estimate.high)}]"


def short(estimate: Estimate) -> str:
    """What a metric is called in a picture."""
    name = estimate.name.split("(")[0]
    return SHORT.get(name, name)


def brief(value: float) -> str:
    """Three decimals; more where that would say 0 of what is not.

    >>> brief(0.06481), brief(0.00042), brief(0.0), brief(-0.00004)
    ('0.065', '0.00042', '0', '-4e-05')
    """
    if value == 0:
        return "0"
    return f"{value:.2g}" if abs(value) < 1e-3 else f"{value:.3f}"


def small_print(axes: Axes, style: Style, text: str, *, below: float = 3.4) -> None:
    """What the marks are, in a line or two under the axis label; `below` in sizes of text."""
    room = width_of(axes) * axes.get_position().width
    chars = max(int(72 * room / (0.5 * style.small * 0.93)), 30)
    axes.annotate(
        textwrap.fill(text, chars),
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -below * style.text),
        textcoords="offset points",
        va="top",
        ha="left",
        fontsize=style.small * 0.93,
        color=style.muted,
        linespacing=1.25,
    )


Place = Literal["upper left", "lower right", "above"]


def foot(place: SubFigure, style: Style, text: str, *, letter: float = 0.5) -> None:
    """Small print under several panels; `letter` is the width of one in sizes of text."""
    size = style.small * 0.93
    chars = max(int(72 * place.bbox.width / place.dpi / (letter * size)), 30)
    where: dict[str, Any] = {"x": 0.01, "ha": "left", "linespacing": 1.25}
    place.supxlabel(textwrap.fill(text, chars), fontsize=size, color=style.muted, **where)


def corner_place(
    lines: Sequence[str], taken: Sequence[tuple[Array, Array]], wide: float, style: Style
) -> Place:
    """The corner that no mark reaches into, or above the axes where marks reach into both.

    Args:
        taken: x and y of the marks, as shares of the axes.
        wide: of the axes, in inches; they are as high as wide.
    """
    x, y = (np.concatenate([np.ravel(pair[k]) for pair in taken]) for k in range(2))
    across = (0.56 * style.text * max(map(len, lines)) / 72) / wide + 0.06
    down = 1.4 * style.text * len(lines) / 72 / wide + 0.06
    if not ((x < across) & (y > 1 - down)).any():
        return "upper left"
    return "above" if ((x > 1 - across) & (y < down)).any() else "lower right"


def corner(axes: Axes, style: Style, lines: Sequence[str], place: Place) -> None:
    """Lines of text in a corner of the axes, or above them."""
    if place == "above":
        header(axes, style, lines)
        return
    left = place == "upper left"
    axes.text(
        0.025 if left else 0.98,
        0.98 if left else 0.025,
        "\n".join(lines),
        transform=axes.transAxes,
        ha="left" if left else "right",
        va="top" if left else "bottom",
        fontsize=style.text,
        linespacing=1.35,
        zorder=6,
        gid="corner",
    )


def header(axes: Axes, style: Style, lines: Sequence[str], *, small: bool = False) -> None:
    """Lines of text above the axes."""
    size = style.small if small else style.text
    how: dict[str, Any] = {"fontsize": size, "linespacing": 1.3, "gid": "corner"}
    axes.set_title("\n".join(lines), loc="left", pad=0.5 * style.text, **how)


def spans(x: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Upright lines as points."""
    some = np.isfinite(low) & np.isfinite(high) & np.isfinite(x)
    share = np.linspace(0, 1, 24)[:, None]
    return np.repeat(x[None, some], 24, 0), low[some] + share * (high[some] - low[some])


def key(axes: Axes, style: Style, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """What the series are, above the axes: a line each, in two columns where there is room."""
    from matplotlib.transforms import ScaledTranslation

    wide = width_of(axes)
    labels = [_wrapped(label, wide, style) for label in labels]
    longest = max(max(map(len, label.split("\n"))) for label in labels)
    room = int(wide / ((0.52 * longest + 4) * style.small / 72))
    left = ScaledTranslation(-3.4 * style.text / 72, 0, axes.figure.dpi_scale_trans)
    legend = axes.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        bbox_transform=axes.transAxes + left,
        ncols=max(1, min(room, -(-len(labels) // 3))),
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


def _wrapped(label: str, wide: float, style: Style) -> str:
    """A label of the key in as many lines as it needs; an interval is never broken."""
    room = max(int((wide - 3.4 * style.small / 72) * 72 / (0.51 * style.small)), 24)
    whole = re.sub(r"\[[^\]]*\]", lambda at: at[0].replace(" ", "\u00a0"), label)
    lines = textwrap.wrap(whole, room, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\u00a0", " ") or label


def width_of(axes: Axes) -> float:
    """Width of the figure, or of the part of one, that the axes are in; in inches."""
    figure = axes.figure
    return float(figure.bbox.width / figure.dpi)


def long_name(text: str, most: int) -> str:
    """A name cut in the middle where it is too long.

    >>> long_name("abcdefghij", 7)
    'abc…hij'
    """
    if len(text) <= most:
        return text
    left = (most - 1 + 1) // 2
    return f"{text[:left]}…{text[len(text) - (most - 1 - left) :]}"
