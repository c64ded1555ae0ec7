"""Lines: panels with a line per class, whose name stands at its left and more words at its right.

Where that would leave the marks too little room, both stand above the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibtool.diagrams import texts
from calibtool.diagrams.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

LEAST = 0.45  # share of the width that marks need, for gaps between them to be seen
BESIDE = 5.2  # sizes of text beside a panel that are neither names nor words: its own name, spaces
STEP = 1.8  # sizes of text from a line to the next
ABOVE = 1.35  # sizes of small print that a line of words takes above its marks


@dataclass(frozen=True)
class Lines:
    """The texts of a panel, and where they stand.

    Attributes:
        names: of the lines, from above.
        words: what stands at the right end of each.
        above: lines of text that both take above each line; 0 if they stand beside it.
        step: distance of two lines in inches.
    """

    names: tuple[str, ...]
    words: tuple[str, ...]
    above: int
    step: float

    @property
    def height(self) -> float:
        """The height of the panel in inches."""
        return len(self.names) * self.step

    def draw(self, axes: Axes, style: Style) -> list[Text]:
        """Write the texts and set the y axis: line k is at y = k, the first one highest.

        The names are returned.
        """
        written = []
        look: dict[str, Any] = {
            "textcoords": "offset points",
            "xycoords": axes.get_yaxis_transform(),
        }
        look |= {"fontsize": style.small * 0.93, "color": style.muted}
        for y, (name, words) in enumerate(zip(self.names, self.words, strict=True)):
            if self.above:
                first = {"xytext": (0.3 * style.text, 0.55 * style.text), "color": style.ink}
                written.append(texts.note(axes, _both(name, words), (0, y), **look | first))
            else:
                axes.annotate(words, (1, y), xytext=(0.8 * style.text, 0), va="center", **look)
        axes.set_yticks(range(len(self.names)), [] if self.above else self.names)
        axes.tick_params(axis="y", length=0)
        over = 0.5 * style.text / 72 / self.step  # from the last line to the x axis
        ends = (1 - over - 0.4 / len(self.names)) if self.above else 0.6
        axes.set_ylim(len(self.names) - 1 + (1 - ends), -ends)
        return written or axes.get_yticklabels()


def lines_of(names: Sequence[str], words: Sequence[str], width: float, style: Style) -> Lines:
    """Return the lines of a panel in a picture of `width` inches."""
    from calibtool.diagrams import room

    names = [style.named(name) for name in names]
    size = style.small * 0.93
    widths = [
        max((room.width_of_text(text, size=points) for text in texts), default=0.0)
        for texts, points in ((names, style.small), (words, size))
    ]
    free = 72 * width - sum(widths) - BESIDE * style.text
    if free >= LEAST * 72 * width:
        return Lines(tuple(names), tuple(words), 0, STEP * style.text / 72)
    wide = 72 * width - BESIDE * style.text
    texts = [_both(*pair) for pair in zip(names, words, strict=True)]
    above = max(len(room.wrapped(text, wide, room.font_of(size)).split("\n")) for text in texts)
    step = (1.15 * style.text + ABOVE * above * size) / 72
    return Lines(tuple(names), tuple(words), above, step)


def _both(name: str, words: str) -> str:
    return f"{name}: {words}" if words else name
