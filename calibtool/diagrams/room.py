"""Room: text is wrapped into the room that it has, and ticks are shown as far as there is room.

How wide axes are is known only once matplotlib has laid out the figure, and changes with a window.
So these artists and locators look for it whenever they are measured or drawn: in a figure of this
project as on Axes that a user brings.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import FigureBase
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.text import Annotation, Text
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, Formatter, MaxNLocator

from calibtool.types import Array

EDGE = 0.03  # inches that stay free at the edge of a picture
HINTING = 1.04  # letters on a screen are set at whole pixels: up to 4 % wider than on paper
LEAST = 40.0  # points: a word or two, where the axes have hardly any room themselves
APART = 0.55  # least distance of two ticks' labels, in sizes of their text
TALL = 1.25  # height of a line of text, in its size
# what is not parted at its spaces: an interval, a number and its unit, "n = 600"
TOGETHER = re.compile(r"\[[^\]]*\]|\d %|\b[nTp] [=<] \S+")
HELD = "\N{NO-BREAK SPACE}"


# ------------------------------------------------------------------ text


@dataclass(frozen=True)
class Room:
    """The room of a text, in points: that of axes, or of a figure.

    Attributes:
        place: axes, a figure or a subfigure.
        share: the share of its width that there is, or of its height.
        beyond: whether the text may go on to the edge of the picture, right of the last axes.
        around: whether text that is centred on the axes may stick out of them on both sides.
        upright: whether the text runs along the height.
        less: points that something else takes.
    """

    place: Any
    share: float = 1.0
    beyond: bool = False
    around: bool = False
    upright: bool = False
    less: float = 0.0

    def points(self) -> float:
        """Return the length that a line of the text may have."""
        place = self.place
        figure: Any = place if isinstance(place, FigureBase) else place.figure
        box: Any = place.bbox
        if isinstance(place, FigureBase):
            length = box.width - 2 * EDGE * figure.dpi
        elif self.upright:
            length = box.height
        elif self.beyond and _is_last(place):
            length = place.figure.bbox.x1 - EDGE * figure.dpi - box.x0
        elif self.around and _alone_in_its_row(place):
            ends: Any = place.figure.bbox
            middle = (box.x0 + box.x1) / 2
            length = 2 * (min(middle - ends.x0, ends.x1 - middle) - EDGE * figure.dpi)
        else:
            length = _allotted(place) - box.x0
        points = float(length * self.share * 72 / figure.dpi) - self.less
        return points if self.upright else max(points, LEAST)


def _allotted(axes: Any) -> float:
    """Return the right end of what a layout gives to the axes, in pixels.

    Axes of a fixed shape take less if there is no height for more. If text got narrower with them,
    it would get higher, and leave them even less.
    """
    if axes.get_subplotspec() is None:
        return float(axes.bbox.x1)
    whole: Any = axes.figure.bbox
    return float(whole.x0 + whole.width * axes.get_position(original=True).x1)


def _alone_in_its_row(axes: Any) -> bool:
    spec = axes.get_subplotspec()
    return spec is not None and len(spec.colspan) == spec.get_gridspec().ncols


def _is_last(axes: Any) -> bool:
    spec = axes.get_subplotspec()
    return spec is not None and spec.is_last_col()


class _Fitting:
    """A text that looks for its room before it is measured or drawn."""

    room: Room
    words: str = ""
    shown: str | None = None

    def refit(self) -> None:
        """Wrap the words into the room that there is now."""
        text: Any = self
        if text.get_text() != self.shown:  # others may set the text
            self.words = text.get_text()
        room, font = self.room.points(), text.get_fontproperties()
        if self.room.upright:  # words are not parted: they may stick out at both ends
            longest = max((width_of_text(word, font) for word in self.words.split()), default=0.0)
            room = max(room, longest)
        self.shown = wrapped(self.words, room, font)
        if self.shown != text.get_text():
            text.set_text(self.shown)

    def get_window_extent(self, *args: Any, **keywords: Any) -> Any:
        """Return the extent of the wrapped text."""
        self.refit()
        return super().get_window_extent(*args, **keywords)  # type: ignore[misc]

    def draw(self, renderer: Any) -> None:
        self.refit()
        super().draw(renderer)  # type: ignore[misc]


class WrappedText(_Fitting, Text):
    """Text that is wrapped into its room."""


class WrappedNote(_Fitting, Annotation):
    """An annotation that is wrapped into its room."""


class FootNote(WrappedNote):
    """An annotation below axes, which stays clear of their ticks and of their axis' name."""

    axes_above: Axes
    gap: float

    def refit(self) -> None:
        """Wrap the words, and go below what stands under the axes."""
        super().refit()
        axes: Any = self.axes_above
        box = axes.xaxis.get_tightbbox()
        if box is None:
            return
        y = (box.y0 - axes.bbox.y0) * 72 / axes.figure.dpi - self.gap
        place = (self.xyann[0], y)
        if not np.allclose(self.xyann, place):
            self.xyann = place


class Key(Legend):
    """A legend whose labels are wrapped into the room of each of its columns."""

    room: Room
    columns: int
    labels: list[str]
    shown: list[str]

    def refit(self) -> None:
        """Wrap the labels into the room that there is now."""
        size = self.get_texts()[0].get_fontproperties().get_size_in_points()
        spent = self.handlelength + self.handletextpad + self.columnspacing
        room = self.room.points() / self.columns - spent * size
        for k, text in enumerate(self.get_texts()):
            if text.get_text() != self.shown[k]:  # others may set the text
                self.labels[k] = text.get_text()
            self.shown[k] = wrapped(self.labels[k], room, text.get_fontproperties())
            if self.shown[k] != text.get_text():
                text.set_text(self.shown[k])

    def get_window_extent(self, *args: Any, **keywords: Any) -> Any:
        self.refit()
        return super().get_window_extent(*args, **keywords)

    def get_tightbbox(self, *args: Any, **keywords: Any) -> Any:
        self.refit()
        return super().get_tightbbox(*args, **keywords)

    def draw(self, renderer: Any) -> None:
        """Draw the legend with wrapped labels."""
        self.refit()
        super().draw(renderer)


def wrap(text: Text, room: Room) -> None:
    """Let a text be wrapped into its room from now on."""
    made: Any = text
    made.__class__ = WrappedNote if isinstance(text, Annotation) else WrappedText
    made.room = room


def wrap_below(note: Annotation, axes: Axes, room: Room, gap: float) -> None:
    """Let an annotation be wrapped, and stay `gap` points below all that belongs to the x axis."""
    made: Any = note
    made.__class__ = FootNote
    made.room, made.axes_above, made.gap = room, axes, gap


def wrap_key(legend: Legend, room: Room, columns: int = 1) -> None:
    """Let the labels of a legend be wrapped into its room."""
    made: Any = legend
    made.__class__ = Key
    made.room, made.columns = room, columns
    made.labels = [text.get_text() for text in legend.get_texts()]
    made.shown = list(made.labels)


def wrap_names(axes: Axes) -> None:
    """Let the names of both axes be wrapped, here and in axes within these."""
    for one in (axes, *axes.child_axes):
        wrap(one.xaxis.label, Room(one, around=True))
        wrap(one.yaxis.label, Room(one, upright=True))


def wrapped(words: str, room: float, font: FontProperties) -> str:
    """Return words in lines of at most `room` points; lines that there are stay lines.

    Intervals, and numbers and their units, are parted only where nothing else helps.

    >>> print(wrapped("ECE 0.166, corrected 0.161 [0.127, 0.198]", 100, FontProperties(size=7.5)))
    ECE 0.166, corrected
    0.161 [0.127, 0.198]
    """
    return _wrapped(words, round(room, 1), _families(font), font.copy())


def _families(font: FontProperties) -> tuple[tuple[str, ...], ...]:
    """Return the fonts that one may be, by settings that can change. To find it takes long."""
    settings: Any = rcParams
    return tuple(tuple(settings.get(f"font.{one}", (one,))) for one in font.get_family())


@lru_cache(4096)
def _wrapped(words: str, room: float, families: object, font: FontProperties) -> str:
    return "\n".join(
        line for hard in words.split("\n") for line in _lines(_held(hard), room, font) or [""]
    )


def _held(line: str) -> str:
    return TOGETHER.sub(lambda at: at[0].replace(" ", HELD), line)


def _lines(line: str, room: float, font: FontProperties) -> list[str]:
    """Return a line as several that fit; words that are too long themselves are parted."""
    lines = [""]
    for word in line.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of_text(longer.replace(HELD, " "), font) <= room:
            lines[-1] = longer
            continue
        parts = _parts(word, room, font)
        lines += parts if lines[-1] else []
        if not lines[0]:
            lines = parts
    return [line.replace(HELD, " ").strip() for line in lines]


def _parts(word: str, room: float, font: FontProperties) -> list[str]:
    """Return a word, in parts if it does not fit into a line of its own."""
    if width_of_text(word.replace(HELD, " "), font) <= room:
        return [word]
    if HELD in word:
        return _lines(word.replace(HELD, " "), room, font)
    parts = [""]
    for letter in word:
        if parts[-1] and width_of_text(parts[-1] + letter, font) > room:
            parts.append("")
        parts[-1] += letter
    return parts


def width_of_text(
    text: str, font: FontProperties | None = None, *, size: float | None = None
) -> float:
    """Return the width of a line of text in points."""
    font = font or font_of(size)
    return _width(text, _families(font), font.copy())


def font_of(size: float | None) -> FontProperties:
    """Return the usual font in a size, in points."""
    return FontProperties(size=size)


@lru_cache(16384)
def _width(text: str, families: object, font: FontProperties) -> float:
    if not text:
        return 0.0
    with warnings.catch_warnings():  # of letters that the font lacks, which are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph")
        return HINTING * float(text_to_path.get_text_width_height_descent(text, font, False)[0])


# ------------------------------------------------------------------ ticks


def set_ticks(axis: Axis, *choices: Mapping[float, str]) -> None:
    """Show the first of `choices` of ticks whose labels do not meet.

    Of the last one, those are shown, in their order, that keep apart from those before them.
    """
    axis.set_major_locator(_Ticks(choices))
    axis.set_major_formatter(
        _Names({at: name for choice in choices for at, name in choice.items()})
    )


def few_ticks(most: int) -> MaxNLocator:
    """Return a locator that divides the axis into at most `most` parts, and into fewer where the
    labels would meet."""
    return _Few(most)


class _Names(Formatter):
    """The labels of ticks that have one."""

    def __init__(self, names: Mapping[float, str]) -> None:
        self.names = names

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self.names.get(x, "")


class _Ticks(FixedLocator):
    """Ticks as far as there is room for their labels."""

    def __init__(self, choices: Sequence[Mapping[float, str]]) -> None:
        super().__init__(list(choices[0]))
        self.choices = choices

    def __call__(self) -> Any:
        axis: Any = self.axis
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        shown: list[float] = []
        for choice in self.choices:
            inside = {x: name for x, name in choice.items() if low - slack <= x <= high + slack}
            shown = list(inside)
            if _apart(axis, inside):
                return np.sort(np.array(shown))
        kept: dict[float, str] = {}
        for x in shown:
            more = {**kept, x: self.choices[-1][x]}
            kept = more if _apart(axis, more) else kept
        return np.sort(np.array(list(kept)))


class _Few(MaxNLocator):
    """Round numbers, as far as there is room for them."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most

    def tick_values(self, vmin: float, vmax: float) -> Any:
        axis: Any = self.axis
        values: Any = np.array([])
        for parts in range(self.most, 0, -1):
            self.set_params(nbins=parts)
            values = super().tick_values(vmin, vmax)
            low, high = sorted((vmin, vmax))
            inside = values[(values >= low) & (values <= high)]
            names = axis.get_major_formatter().format_ticks(inside)
            if _apart(axis, dict(zip(inside.tolist(), names, strict=True))):
                break
        return values


def _apart(axis: Any, ticks: Mapping[float, str]) -> bool:
    """Return whether the labels of ticks keep apart."""
    if len(ticks) < 2:
        return True
    axes, along_x = axis.axes, isinstance(axis, XAxis)
    font = axis.get_major_ticks(1)[0].label1.get_fontproperties()
    size = font.get_size_in_points()
    at = np.array(sorted(ticks))
    ends = np.zeros_like(at)
    if along_x:
        place: Array = axes.get_xaxis_transform().transform(np.stack([at, ends], axis=1))[:, 0]
        length = np.array([width_of_text(ticks[x], font) for x in at.tolist()])
    else:
        place = axes.get_yaxis_transform().transform(np.stack([ends, at], axis=1))[:, 1]
        length = np.full(len(at), TALL * size)
    order = np.argsort(place)
    place, length = place[order] * 72 / axes.figure.dpi, length[order]
    free = np.diff(place) - (length[1:] + length[:-1]) / 2
    return bool((free >= (APART * size if along_x else 0)).all())
