"""Texts within panels: notes on lines, words on histograms, names at the ends of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calibtool.diagrams.marks import INNER
from calibtool.diagrams.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

LINE = 1.3  # height of a line of text, in its size
FREE = 0.5  # above and below words, likewise


def note(axes: Axes, text: str, at: tuple[float, float], **look: Any) -> Text:
    """Return a note that begins at `at`, and is wrapped into the width of the axes."""
    from calibtool.diagrams import room

    written = axes.annotate(text, at, annotation_clip=False, **look)
    room.wrap(written, room.Room(axes, less=look["fontsize"]))
    return written


def inside(axes: Axes, style: Style, text: str, at: tuple[float, float], **look: Any) -> None:
    """Write text within the axes, at shares of their width and height."""
    from calibtool.diagrams import room

    written = axes.text(*at, text, transform=axes.transAxes, fontsize=style.text, **look)
    room.wrap(written, room.Room(axes, share=0.97))


def mirrored(style: Style, texts: Sequence[str], width: float, share: float) -> tuple[float, float]:
    """Return the height of two histograms, one upwards and one downwards, with words on both, in
    inches; and the share of it that words take at each end.

    Args:
        style: gives the size of the text.
        texts: what is written on them, with `inside`.
        width: of the picture, in inches.
        share: height as a share of the width, where each of the texts is one line.
    """
    from calibtool.diagrams import room

    font, wide = room.font_of(style.text), 72 * INNER * width
    lines = max(len(room.wrapped(text, 0.93 * wide, font).split("\n")) for text in texts)
    tall = share * width + 2 * LINE * (lines - 1) * style.text / 72
    return tall, min((LINE * lines + FREE) * style.text / 72 / tall, 0.3)


def inner_labels(
    axes: Axes, style: Style, ends: Sequence[tuple[float, str]], taken: Sequence[float]
) -> None:
    """Write the name of each line above its right end, if the end is far enough from the heights in
    `taken` and from other names.

    Args:
        ends: height and name of each line at its right end.
        taken: heights at which there are marks already.
    """
    low, high = axes.get_ylim()
    apart = 0.055 * (high - low)  # the height of a line of small text, roughly
    used = list(taken)
    for y, name in sorted(ends):
        if low <= y <= high and min(abs(y - other) for other in used) > apart:
            used.append(y)
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
    """Write the name of each line to the right of its end, with a hairline between the two.

    Names that would overlap are moved apart: upwards first, then down from the upper end of the
    axis. The limits of the axes have to be set before.
    """
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
