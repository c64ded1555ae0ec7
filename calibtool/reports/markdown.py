"""Markdown: tables for pull requests and model cards."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.reports.table import Table

BOLD = ("bad", "unclear", "best")  # tones; the others need no reader's attention


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
    return f"**{cell}**" if tone in BOLD and cell else cell


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: bool = False,
    links: bool = False,
) -> list[str]:
    """Return the lines of a pipe table.

    Args:
        titles, rows: its texts, which are escaped.
        words: whether all columns are words, aligned left; else numbers, aligned right, begin at
            the third column, but for "verdict" and "why".
        links: whether cells of the first column are Markdown already.
    """
    left = ("verdict", "why")
    rule = ["---" if words or k < 2 or t in left else "---:" for k, t in enumerate(titles)]
    escaped = [
        [cell if links and not index else escape(cell) for index, cell in enumerate(row)]
        for row in rows
    ]
    return [f"| {' | '.join(cells)} |" for cells in (titles, rule, *escaped)]


def escape(text: str) -> str:
    """Return text on one line that Markdown shows as it is, in a cell or outside."""
    for character in "\\|<>`":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
