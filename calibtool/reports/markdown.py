"""Markdown: tables for pull requests and model cards."""

from __future__ import annotations

import re
from collections.abc import Sequence

from calibtool.formatting import printable
from calibtool.reports.table import Table

BOLD = ("bad", "unclear", "best")  # tones; the others need no reader's attention
# What Markdown takes as more than a letter wherever it stands: HTML, code, cells, links and images,
# entities, and lines struck through.
_ANYWHERE = re.compile(r"[\\|<>`]|\](?=[(\[:])|&(?=#?\w+;)|~(?=~)")
# Stars and underscores emphasise in pairs, underscores not within a word.
_PAIRS = (re.compile(r"\*"), re.compile(r"(?<!\w)_|_(?!\w)"))
# What begins a heading, a list, a rule or a fence of code at the start of a line
_START = re.compile(r"(\s*(?:\d{1,9}(?=[.)]\s))?)(#{1,6}(?:\s|$)|[-+]\s|[.)]\s|[-=~]{3})")


class Marked(str):
    """Text that is Markdown already."""

    __slots__ = ()


def render(whole: Table) -> str:
    """Return a table with its head and its notes, and the further tables below it."""
    return "\n".join(_render_one(part) for part in (whole, *whole.more))


def _render_one(part: Table) -> str:
    rows = [
        [_emphasised(part, row, column, cell) for column, cell in enumerate(cells)]
        for row, cells in enumerate(part.cells)
    ]
    lines = [escape(part.head), "", *table(part.titles, rows)]
    for text in (*part.lead, *(note.text for note in part.paragraphs())):
        lines += ["", escape(text)]
    return "\n".join(lines) + "\n"


def _emphasised(part: Table, row: int, column: int, cell: str) -> str:
    tone = part.tones.get((row, column)) or part.tones.get((row, None))
    return bold(cell) if tone in BOLD and cell else cell


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: bool = False,
) -> list[str]:
    """Return the lines of a pipe table.

    Args:
        titles, rows: its texts, which are escaped, unless they are Marked.
        words: whether all columns are words, aligned left; else numbers, aligned right, begin at
            the third column, but for "verdict" and "why".
    """
    left = ("verdict", "why")
    rule = ["---" if words or k < 2 or t in left else "---:" for k, t in enumerate(titles)]
    lines = [map(escape, titles), rule, *(map(escape, row) for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def bold(text: str) -> Marked:
    """Return text in bold."""
    return Marked(f"**{escape(text)}**")


def escape(text: str) -> Marked:
    """Return text on one line that Markdown shows as it is, in a cell or at the start of a line;
    what is Marked stays as it is.

    >>> print(escape("a|b <img> [x](javascript:y)"), escape("[0.1, 0.2]"), escape("# of rows"))
    a\\|b \\<img\\> [x\\](javascript:y) [0.1, 0.2] \\# of rows
    """
    if isinstance(text, Marked):
        return text
    shown = _ANYWHERE.sub(r"\\\g<0>", printable(text).replace("\n", " "))
    for pair in _PAIRS:
        if len(pair.findall(shown)) > 1:
            shown = pair.sub(r"\\\g<0>", shown)
    return Marked(inline(shown))


def inline(text: str) -> str:
    """Return the start of a line without what would make more of it than a paragraph."""
    return re.sub(_START, r"\1\\\2", text, count=1) if _START.match(text) else text
