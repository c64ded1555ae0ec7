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
    parts = [_paragraph(table.head, "font-weight: bold")]
    parts += [_paragraph(text) for text in table.lead]
    if table.titles:
        parts.append(_grid(table))
    parts += [_paragraph(note.text, STYLES.get(note.tone)) for note in table.paragraphs()]
    return parts


def _paragraph(text: str, style: str | None = None) -> Markup:
    # a `div`, since a `p` may not hold the lines, which are blocks too
    lines = [element("div", line) for line in text.split("\n")]
    return element("div", *lines, style=f"margin: 0.5em 0; {style or ''}".rstrip("; "))


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
    align = (
        f"text-align: {'left' if left else 'right'}; padding: 0.1em 0.6em; white-space: pre-wrap"
    )
    return f"{align}; {STYLES[tone]}" if tone else align
