"""The table for people: 80 columns, one screen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from calibtool.reports.table import WORDS, Table, Tone

STYLES: dict[Tone, str] = {
    "": "",
    "good": "green",
    "bad": "bold red",
    "unclear": "yellow",
    "best": "bold green",
    "alarm": "bold red",
    "quiet": "dim",
    "warning": "yellow",
}
# Blanks between columns -> rich's padding that makes them, with a column of its own between any two
GAPS = {3: (0, 1, 0, 1), 2: (0, 1, 0, 0), 1: (0, 0, 0, 0)}
# What stands for a name on a line of its own until rich has laid out the table: a mark that no
# printable text has, and the number of the row
_PLACE = re.compile(r"\0(\d+) *")


def render(table: Table, *, width: int, colour: bool) -> str:
    """Return a table with its head and its notes, and the further tables below it."""
    return "\n".join(_render_one(part, width, colour) for part in (table, *table.more))


def _render_one(table: Table, width: int, colour: bool) -> str:
    text = _print(_parts(table, width), width, colour)
    return _PLACE.sub(lambda place: table.cells[int(place[1])][0], text)


def _parts(table: Table, width: int) -> list[object]:
    """Return what is printed, one below the other; without titles, only the paragraphs."""
    parts: list[object] = [Text(table.head, style="bold"), *map(Text, table.lead)]
    if table.titles:
        parts.append(_grid(table, width))
    return parts + [Text(note.text, style=STYLES[note.tone]) for note in table.paragraphs()]


def _grid(table: Table, width: int) -> Grid:
    """Return the cells; words wrap, numbers do not, and an interval breaks before it is cut.

    Columns stand closer where a word would be cut otherwise, such as the name of a metric. Where
    that does not help, the names in the first column that are too wide take lines of their own.
    """
    breaks = [_breaks(table, title) for title in table.titles]
    need = [_need(table, column, broken=broken) for column, broken in enumerate(breaks)]
    names = breaks[0] and not any(breaks[1:])  # no other column breaks
    fits = (gap for gap in GAPS if sum(need) + gap * (len(need) - 1) <= width)
    gap = next(fits, 2 if names else 3)
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=GAPS[gap])
    for index, title in enumerate(table.titles):
        left = not index or title in table.left
        grid.add_column(
            title, justify="left" if left else "right", no_wrap=not breaks[index], overflow="fold"
        )
    room = width - sum(need[1:]) - gap * (len(need) - 1)
    names = names and room >= cell_len(table.titles[0])
    if len(table.cells) > 1 and _fits(table, width, gap):
        _add_blocks(grid, table)
        return grid
    for row, cells in enumerate(table.cells):
        toned, style = _toned(table, row), _style(table, row)
        if names and room < cell_len(cells[0]) <= width and " " not in cells[0].strip():
            grid.add_row(f"\0{row}", style=style)
            toned[0] = ""
        grid.add_row(*toned, style=style)
    return grid


def _toned(table: Table, row: int) -> list[Text | str]:
    """Return the cells of a row, with their tones."""
    return [
        Text(cell, style=STYLES[table.tones[row, column]]) if (row, column) in table.tones else cell
        for column, cell in enumerate(table.cells[row])
    ]


def _style(table: Table, row: int) -> str:
    """Return the style of a whole row."""
    return STYLES[table.tones.get((row, None), "")]


def _fits(table: Table, width: int, gap: int) -> bool:
    """Return whether every row takes one line: nothing has to break, nor stand on its own."""
    if any(len(row) != len(table.titles) or "\n" in "".join(row) for row in table.cells):
        return False
    titles = [title.split("\n") for title in table.titles]
    columns = zip(*table.cells, strict=True)
    widths = [max(map(cell_len, (*t, *c))) for t, c in zip(titles, columns, strict=True)]
    return sum(widths) + gap * (len(widths) - 1) <= width


def _add_blocks(grid: Grid, table: Table) -> None:
    """Add rows of one style as one row of many lines, which rich lays out three times as fast."""
    toned = {row for row, column in table.tones if column is not None}

    def block(row: int) -> tuple[str, int | None]:
        return _style(table, row), row if row in toned else None

    for (style, alone), rows in groupby(range(len(table.cells)), block):
        if alone is None:
            columns = zip(*(table.cells[row] for row in rows), strict=True)
            grid.add_row(*map("\n".join, columns), style=style)
        else:
            grid.add_row(*_toned(table, alone), style=style)


def _breaks(table: Table, title: str) -> bool:
    """Return whether the cells of a column may break into lines."""
    if table.wraps is not None:
        return title in table.wraps
    return title in WORDS or "interval" in title


def _need(table: Table, column: int, *, broken: bool) -> int:
    """Return the width of a column's longest cell or, where cells are broken, longest word."""
    cells = [row[column] for row in (table.titles, *table.cells) if column < len(row)]
    texts = [word for cell in cells for word in cell.split()] if broken else cells
    return max(map(cell_len, texts), default=0)


def index(
    sections: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    below: Sequence[str],
    *,
    width: int,
    colour: bool,
) -> str:
    """Return names and titles under the title of each section."""
    parts: list[object] = []
    longest = max(len(name) for _, lines in sections for name, _ in lines)
    for title, lines in sections:
        parts += [Text(title, style="bold")]
        for name, summary in lines:
            gap = " " * (longest + 2 - len(name))
            parts.append(Text.assemble("  ", (name, "bold cyan"), gap, summary))
        parts.append("")
    return _print([*parts, *below], width, colour, gap=False)


def entries(items: Sequence[tuple[str, str, Sequence[str]]], *, width: int, colour: bool) -> str:
    """Return a line with a name and a title per item, with indented lines below."""
    parts: list[object] = []
    for name, title, lines in items:
        parts.append(Text.assemble((name, "bold cyan"), f"  {title}"))
        parts += [Padding(Text(line), (0, 0, 0, 4)) for line in lines]
    return _print(parts, width, colour, gap=False)


def _print(parts: Sequence[object], width: int, colour: bool, *, gap: bool = True) -> str:
    """Return what rich prints, with an empty line between parts if `gap`."""
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        no_color=None if colour else True,
        color_system="standard" if colour else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    for index, part in enumerate(parts):
        if index and gap:
            console.print()
        console.print(part)
    lines = out.getvalue().split("\n")
    return "\n".join(line.rstrip() for line in lines).rstrip("\n") + "\n"
