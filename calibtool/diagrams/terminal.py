"""Reliability diagrams as text, for terminals and logs.

The upper part shows the mean outcome of each bin, with its interval, against its mean score, and
the diagonal; the lower part shows the share of rows in each bin. Braille letters are grids of 2 x 4
dots. Encodings without them get plain ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calibtool.diagrams.curve import Curve
from calibtool.diagrams.reliability import Reliability
from calibtool.errors import UsageError
from calibtool.formatting import interval, number, percent
from calibtool.types import Array

LEFT = 6  # columns for the scale
HEIGHT, LOW_HEIGHT = 14, 3  # lines of the diagram and of the histogram
WIDEST = 66  # most columns of the diagram: more would only stretch it
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a braille letter, by column
BLOCKS = " ▁▂▃▄▅▆▇█"
NAMES = {"top": ("confidence", "accuracy"), "positive": ("P(class 1)", "frequency of class 1")}
PLAIN = str.maketrans("│┤└┬─●○◆◇▲△", "|+++-@o#xAv")
# those of the 16 colours that are legible on black and on white
DIM, RED, GREEN, MAGENTA, CYAN = "2", "31", "32", "35", "36"
OFF, NOT_OFF = ("●", RED), ("○", "")
MARKS = (("○", RED), ("●", GREEN), ("◇", MAGENTA), ("◆", CYAN), ("△", ""), ("▲", RED))


@dataclass(eq=False)
class Canvas:
    """A grid of letters with a style each; line 0 is at the top.

    Attributes:
        letters: (lines, columns) the letters.
        styles: (lines, columns) ANSI codes, "" for none.
        dots: (lines, columns) the dots of a Braille letter, as bits.
    """

    letters: Array
    styles: Array
    dots: Array

    @classmethod
    def blank(cls, height: int, width: int) -> Canvas:
        """Return an empty canvas."""
        size = (height, width)
        return cls(np.full(size, " "), np.full(size, "", "<U4"), np.zeros(size, np.int64))

    def dot(self, x: float, y: float, style: str) -> None:
        """Draw a dot at x and y in [0, 1], from the left and from below."""
        height, width = self.letters.shape
        column = min(int(x * 2 * width), 2 * width - 1)
        line = min(int((1 - y) * 4 * height), 4 * height - 1)
        at = line // 4, column // 2
        self.dots[at] |= DOTS[column % 2][line % 4]
        self.letters[at], self.styles[at] = chr(0x2800 + self.dots[at]), style

    def letter(self, x: float, y: float, letter: str, style: str) -> None:
        """Write a letter at x and y in [0, 1], in place of what is there."""
        height, width = self.letters.shape
        at = min(int((1 - y) * height), height - 1), min(int(x * width), width - 1)
        self.letters[at], self.styles[at] = letter, style

    def lines(self, *, colour: bool) -> list[str]:
        """Return the lines as text, with ANSI codes if `colour`."""
        pairs = zip(self.letters, self.styles, strict=True)
        return [_styled(a, b) if colour else "".join(a).rstrip() for a, b in pairs]


def reliability(data: Reliability, *, width: int, colour: bool, letters: str = "utf-8") -> str:
    """Return the diagram as text.

    Args:
        data: the diagram; of several curves, at most six.
        width: most columns.
        colour: whether to use ANSI colours.
        letters: the encoding that the text has to be written in.

    Raises UsageError for more than six curves.
    """
    room = min(width - LEFT - 2, WIDEST)
    bins = len(data.curves[0].mass)
    columns = room // bins * bins if bins <= room else room
    upper = Canvas.blank(HEIGHT, columns)
    for step in np.linspace(0, 1, 2 * columns):
        upper.dot(step, step, DIM)
    marks = _marks(data)
    for index, (curve, mark) in enumerate(zip(data.curves, marks, strict=True)):
        bars = len(marks) <= 2 and index == len(marks) - 1
        _points(upper, curve, mark, bars=bars)
    score, outcome = map(data.named, NAMES[data.view])
    lines = [outcome, *_scaled(upper, ("1.0", "0.5", "0.0"), colour=colour)]
    last = data.curves[-1]
    lower = _histogram(last, columns)
    most = f"{100 * _columns_mass(last, columns).max():.0f} %"
    lines += [_axis(columns), *_scaled(lower, (most, "0 %"), colour=colour), _axis(columns)]
    lines += [_numbers(columns, score), "", *_legend(data, colour=colour)]
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return text if _can_write(text, letters) else _plain(text)


def _marks(data: Reliability) -> list[tuple[str, str] | None]:
    """Return a letter and a style for each of several curves; None for a single one."""
    if len(data.curves) == 1:
        return [None]
    if len(data.curves) > len(MARKS):
        raise UsageError(
            f"{len(data.curves)} curves cannot be told apart as text, at most {len(MARKS)} can; "
            "-o FILE.png draws them all"
        )
    return list(MARKS[: len(data.curves)])


def _points(canvas: Canvas, curve: Curve, mark: tuple[str, str] | None, *, bars: bool) -> None:
    """Draw one point per bin, with its interval, where it has one, if `bars`.

    If the curve has no mark, points are filled where their interval excludes the diagonal.
    """
    some = np.isfinite(curve.outcome)
    x, y, low, high = (v[some] for v in (curve.score, curve.outcome, curve.low, curve.high))
    off = (x < low) | (x > high)
    marks = [mark or (OFF if excluded else NOT_OFF) for excluded in off]
    known = np.isfinite(low) & np.isfinite(high)
    for k, (_, style) in enumerate(marks):
        if not (bars and known[k]):
            continue
        for step in np.linspace(low[k], high[k], 2 + int(8 * HEIGHT * (high[k] - low[k]))):
            canvas.dot(x[k], step, style)
    for k, (letter, style) in enumerate(marks):
        canvas.letter(x[k], y[k], letter, style)


def _histogram(curve: Curve, columns: int) -> Canvas:
    """Return the histogram as bars in steps of an eighth of a letter."""
    mass = _columns_mass(curve, columns)
    canvas = Canvas.blank(LOW_HEIGHT, columns)
    eighths = np.rint(mass / mass.max() * 8 * LOW_HEIGHT)
    eighths = np.where((mass > 0) & (eighths < 1), 1, eighths)  # few rows are still seen
    for line in range(LOW_HEIGHT):
        part = np.clip(eighths - 8 * (LOW_HEIGHT - 1 - line), 0, 8).astype(int)
        canvas.letters[line] = [BLOCKS[k] for k in part]
    return canvas


def _columns_mass(curve: Curve, columns: int) -> Array:
    """Return the mass of the bin at each column; of all bins in it, if bins are narrower."""
    edges, mass = curve.histogram.edges, curve.histogram.mass
    if len(mass) <= columns:
        middle = (np.arange(columns) + 0.5) / columns
        return np.asarray(mass[np.clip(np.searchsorted(edges, middle) - 1, 0, len(mass) - 1)])
    below = np.concatenate([[0.0], np.cumsum(mass)])
    return np.diff(np.interp(np.arange(columns + 1) / columns, edges, below))


def _scaled(canvas: Canvas, ticks: Iterable[str], *, colour: bool) -> list[str]:
    """Return lines with a scale to their left, its ticks even from the top line to the bottom."""
    lines = canvas.lines(colour=colour)
    names = list(ticks)
    at = np.rint(np.linspace(0, len(lines) - 1, len(names))).astype(int).tolist()
    labels = dict(zip(at, names, strict=True))
    return [
        f"{labels.get(k, ''):>{LEFT - 1}} {'┤' if k in labels else '│'}{line}"
        for k, line in enumerate(lines)
    ]


def _axis(columns: int) -> str:
    ticks = _ticks(columns)
    return " " * LEFT + "└" + "".join("┬" if k in ticks else "─" for k in range(columns))


def _ticks(columns: int) -> list[int]:
    """Return the columns of 0, 0.2, ... 1."""
    return [min(k * columns // 5, columns - 1) for k in range(6)]


def _numbers(columns: int, name: str) -> str:
    """Return the numbers below the ticks, and the name of the axis in the line below."""
    line = [" "] * (columns + LEFT + 3)
    for k, tick in enumerate(_ticks(columns)):
        text = f"{k / 5:.1f}"
        start = LEFT + tick
        line[start : start + len(text)] = text
    return "".join(line).rstrip() + "\n" + " " * (LEFT + 1) + name.center(columns)


def _error(curve: Curve, *, alone: bool = False) -> str:
    """Return the error with its interval; `alone` without the plain value, in less room."""
    estimate = curve.estimates[0]
    value, corrected = number(estimate.value), number(estimate.corrected)
    ends = interval(estimate.low, estimate.high)
    if ends and alone:
        return f"corrected {estimate.name} {corrected} {ends}"
    if ends and corrected != value:
        value += f", corrected {corrected}"
    return f"{estimate.name} {value} {ends}".rstrip()


def _legend(data: Reliability, *, colour: bool) -> list[str]:
    level = percent(data.level)
    if len(data.curves) == 1:
        if not np.isfinite(data.curves[0].low).any():
            return [_error(data.curves[0])]
        marks = [(OFF, f"{level} interval excludes the diagonal"), (NOT_OFF, "includes it")]
        meanings = [_mark(mark, text, colour=colour) for mark, text in marks]
        return ["   ".join(meanings), _error(data.curves[0])]
    lines = [
        _mark(mark, f"{curve.label}: {_error(curve, alone=True)}", colour=colour)
        for mark, curve in zip(MARKS, data.curves, strict=False)
    ]
    if len(lines) == 2:
        lines.append(f"Bars ({level} intervals) and histogram are those of the second.")
    else:
        lines.append(f"The histogram is that of {data.curves[-1].label}.")
    return lines


def _mark(mark: tuple[str, str], text: str, *, colour: bool) -> str:
    letter, style = mark
    return f"{_styled([letter], [style]) if colour else letter} {text}"


def _styled(letters: Iterable[str], styles: Iterable[str]) -> str:
    """Return letters with the codes that change the style where it changes."""
    pieces, current = [], ""
    for letter, style in zip(letters, styles, strict=True):
        if style != current:
            pieces.append(f"\x1b[0m\x1b[{style}m" if style else "\x1b[0m")
            current = style
        pieces.append(letter)
    return "".join([*pieces, "\x1b[0m"] if current else pieces)


def _can_write(text: str, letters: str) -> bool:
    try:
        text.encode(letters)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _plain(text: str) -> str:
    """Return the text in ASCII: a dot for a Braille letter, # for half a block or more."""
    plain = text.translate(PLAIN)
    return "".join(
        "." if 0x2800 < ord(c) < 0x2900 else "_#"[c in "▄▅▆▇█"] if c in BLOCKS[1:] else c
        for c in plain
    )
