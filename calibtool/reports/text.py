"""The table for people: 80 columns, one screen."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
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


def render(table: Table, *, width: int, colour: bool) -> str:
    """Return a table with its head and its notes, and the further tables below it."""
    parts = [_parts(part) for part in (table, *table.more)]
    return "\n".join(_print(part, width, colour) for part in parts)


def _parts(table: Table) -> list[object]:
    """Return what is printed, one below the other; without titles, only the paragraphs."""
    parts: list[object] = [Text(table.head, style="bold"), *map(Text, table.lead)]
    if table.titles:
        parts.append(_grid(table))
    return parts + [Text(note.text, style=STYLES[note.tone]) for note in table.paragraphs()]


def _grid(table: Table) -> Grid:
    """Return the cells; words wrap, numbers do not, and an interval breaks before it is cut."""
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for index, title in enumerate(table.titles):
        left = not index or title in table.left
        breaks = title in WORDS or "interval" in title
        if table.wraps is not None:
            breaks = title in table.wraps
        grid.add_column(
            title, justify="left" if left else "right", no_wrap=not breaks, overflow="fold"
        )
    for row, cells in enumerate(table.cells):
        toned = [
            Text(cell, style=STYLES[table.tones[row, column]])
            if (row, column) in table.tones
            else cell
            for column, cell in enumerate(cells)
        ]
        grid.add_row(*toned, style=STYLES[table.tones.get((row, None), "")])
    return grid


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
