"""Styles: how pictures look on paper, in a talk, on a poster and on a dark background."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from calibtool.errors import UsageError

# Colour-blind readers tell these colours apart, and they differ in lightness when printed in grey;
# the markers and dashes below do without colour. After Okabe & Ito 2008, but darker: text is
# set in them.
ON_WHITE = (
    *("#0B5394", "#D9820F", "#7A1F5C", "#2B9C76", "#1A1A1A", "#5AAEE0", "#B23A2E", "#8A8A8A"),
)
ON_BLACK = (
    *("#6DB8F2", "#F2B04A", "#E08BC4", "#5FD3A6", "#F2F2F2", "#3F7FBF", "#F0806F", "#9A9A9A"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DOTTED = (0, (2, 1.5))  # of reference lines
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.6)), (0, (1, 1.2)), (0, (5, 1.4, 1, 1.4)))


@dataclass
class Labels:
    """Other names than those of the data, and which of them were of use.

    Attributes:
        ordered: names for the entries of the key, in order.
        renamed: new names, by the old ones.
        seen: the names that there were.
        used: how many of `ordered`, and which of `renamed`.
    """

    ordered: tuple[str, ...]
    renamed: dict[str, str]
    seen: dict[str, None] = field(default_factory=dict)
    used: set[str | int] = field(default_factory=set)

    def of(self, name: str, place: int | None = None, plain: str = "") -> str:
        """Return the new name of what was called `name`, or `plain` where classes have no names."""
        self.seen[name] = None
        for known in (name, plain):
            if known in self.renamed:
                self.used.add(known)
                return self.renamed[known]
        if place is not None and place < len(self.ordered):
            self.used.add(place)
            return self.ordered[place]
        return name

    def require_used(self) -> None:
        """Check that every name was of use; raise UsageError otherwise."""
        left = [old for old in self.renamed if old not in self.used]
        there = ", ".join(map(repr, self.seen)) or "none"
        if left:
            raise UsageError(f"--rename: nothing is called {left[0]!r}; there are {there}")
        places = sum(place in self.used for place in range(len(self.ordered)))
        if places < len(self.ordered):
            raise UsageError(
                f"--name: {len(self.ordered)} names for a key of {places}; --rename OLD=NEW "
                f"changes names of axes and panels, of {there}"
            )


@dataclass(frozen=True)
class Style:
    """A look.

    Attributes:
        width: default width of a picture, in inches.
        text: size of text, in points; small print is smaller.
        line: width of a line that carries data, in points.
        ink: colour of text.
        muted: colour of explanations, axes and reference lines.
        faint: colour of consistency bands and other areas behind the data.
        paper: colour of the background.
        series: colours of data, in order.
        titled: whether there is a title by default.
        caption: small print in place of that of the diagram; "" for none.
        stats: whether numbers are written above and in the picture.
        labels: other names for what is drawn.
    """

    width: float
    text: float
    line: float
    ink: str
    muted: str
    faint: str
    paper: str
    series: tuple[str, ...]
    titled: bool = False
    caption: str | None = None
    stats: bool = True
    labels: Labels | None = None

    @property
    def small(self) -> float:
        """The size of small print, in points."""
        return self.text * 0.86

    def colour(self, index: int) -> str:
        """Return the colour of series `index`."""
        return self.series[index % len(self.series)]

    def marker(self, index: int) -> str:
        """Return the marker of series `index`."""
        return MARKERS[index % len(MARKERS)]

    def dash(self, index: int) -> Any:
        """Return the dashes of series `index`; they shift when the colours start again."""
        return DASHES[(index + index // len(self.series)) % len(DASHES)]

    def named(self, name: str, place: int | None = None, plain: str = "") -> str:
        """Return the name that a picture gives to an axis, or to the entry `place` of its key;
        `plain` is that of an axis where classes have no names."""
        return name if self.labels is None else self.labels.of(name, place, plain)

    def rc(self) -> Any:
        """Return the style as rcParams: Any, because matplotlib's types list each name."""
        return {
            "font.family": "sans-serif",
            "font.size": self.text,
            "axes.labelsize": self.text,
            "axes.titlesize": self.text * 1.1,
            "axes.titlelocation": "left",
            "xtick.labelsize": self.small,
            "ytick.labelsize": self.small,
            "legend.fontsize": self.small,
            "axes.linewidth": self.line * 0.5,
            "xtick.major.width": self.line * 0.5,
            "ytick.major.width": self.line * 0.5,
            "xtick.major.size": self.text * 0.35,
            "ytick.major.size": self.text * 0.35,
            "lines.linewidth": self.line,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.facecolor": self.paper,
            "figure.facecolor": self.paper,
            "savefig.facecolor": self.paper,
            "axes.edgecolor": self.muted,
            "axes.labelcolor": self.ink,
            "text.color": self.ink,
            "xtick.color": self.muted,
            "ytick.color": self.muted,
            "xtick.labelcolor": self.ink,
            "ytick.labelcolor": self.ink,
            "text.parse_math": False,  # class names and file names are text
            "axes.formatter.use_mathtext": False,
            "axes.unicode_minus": True,
            "svg.hashsalt": "calibtool",
            "svg.fonttype": "none",
            "pdf.fonttype": 42,
        }


STYLES = {
    "paper": Style(
        *(3.25, 7.5, 1.2),
        *("#1A1A1A", "#5F5F5F", "#E3E3E3", "#FFFFFF"),
        ON_WHITE,
    ),
    "talk": Style(
        *(8.0, 16.0, 2.6),
        *("#1A1A1A", "#5F5F5F", "#E3E3E3", "#FFFFFF"),
        ON_WHITE,
        titled=True,
    ),
    "poster": Style(
        *(12.0, 24.0, 4.0),
        *("#1A1A1A", "#5F5F5F", "#E3E3E3", "#FFFFFF"),
        ON_WHITE,
        titled=True,
    ),
    "dark": Style(
        *(6.75, 10.0, 1.6),
        *("#ECECEC", "#A8A8A8", "#3A3F45", "#15181C"),
        ON_BLACK,
        titled=True,
    ),
}
SMALLEST, LARGEST = 2, 20  # inches: a margin of a page, and half a poster
UNITS = {"": 1.0, "in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72}


def style_of(name: str) -> Style:
    """Return a style by its name; raise UsageError if there is none."""
    if name not in STYLES:
        raise UsageError(f"--style must be one of {', '.join(STYLES)} (got {name!r})")
    return STYLES[name]


def inches(width: str | float | None, option: str = "--width") -> float | None:
    """Return the size of a picture in inches, from text such as "3.25in" and "82mm" or a number.

    Raises UsageError for other units, and for less than 2 or more than 20 inches.

    >>> inches("8.89cm"), inches(4)
    (3.5, 4.0)
    """
    if width is None:
        return None
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(in|cm|mm|pt|)\s*", str(width))
    if not match:
        raise UsageError(
            f"{option} {width!r}: give a number and a unit, such as 3.25in, 82mm or 8.2cm"
        )
    size = round(float(match[1]) * UNITS[match[2]], 9)
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(f"{option} must lie between {SMALLEST} and {LARGEST} inches, not {size:g}")
    return size
