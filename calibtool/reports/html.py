"""HTML for notebooks: a plain table whose style is its own; it needs no style sheet."""

from __future__ import annotations

from calibtool.reports.page.markup import Markup, element
from calibtool.reports.table import Table, Tone

# Colours that can be read on a light and on a dark background.
STYLES: dict[Tone, str] = {
    "good": "color: #2e8b57",
    "bad": "color: #d1495b; font-weight: bold",
    "unclear": "color: #b8860b",
    "best": "color: #2e8b57; font-weight: bold",
    "alarm": "color: #d1495b; font-weight: bold",
    "quiet": "opacity: 0.7",
    "warning": "color: #b8860b",
}


def render(table: Table) -> str:
    """Return a `div` with the table, its head and its notes, and the further tables below it."""
    parts = [part for shown in (table, *table.more) for part in _parts(shown)]
    return f"{element('div', *parts)}\n"


def _parts(table: Table) -> list[Markup]:
    head = [element("div", line) for line in table.head.split("\n")]
    parts = [element("p", element("strong", *head))]
    parts += [element("p", text) for text in table.lead]
    if table.titles:
        parts.append(_grid(table))
    for note in table.paragraphs():
        lines = [element("div", line) for line in note.text.split("\n")]
        parts.append(element("p", *lines, style=STYLES.get(note.tone)))
    return parts


def _grid(table: Table) -> Markup:
    left = [not column or title in table.left for column, title in enumerate(table.titles)]
    titles = [
        element("th", title, style=_align(left[column]), scope="col")
        for column, title in enumerate(table.titles)
    ]
    rows = [
        element(
            "tr",
            *(
                element("td", cell, style=_align(left[k], table.tones.get((row, k), "")))
                for k, cell in enumerate(cells)
            ),
            style=STYLES.get(table.tones.get((row, None), "")),
        )
        for row, cells in enumerate(table.cells)
    ]
    return element("table", element("thead", element("tr", *titles)), element("tbody", *rows))


def _align(left: bool, tone: Tone = "") -> str:
    align = f"text-align: {'left' if left else 'right'}; white-space: pre-wrap"
    return f"{align}; {STYLES[tone]}" if tone else align
