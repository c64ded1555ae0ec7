"""Markdown: the table of a report or a gate, for pull requests and model cards."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.analysis.selection import Selection
from calibtool.evaluation.report import Report
from calibtool.formatting import interval, number, percent, signed
from calibtool.gate.outcome import Outcome
from calibtool.reports import verdicts
from calibtool.reports.selection import selection_cells


def report(found: Report) -> str:
    """A table, and the reading below it."""
    lines = [escape(found.data.describe()), ""]
    if found.after:
        titles = ["metric", "view", "before", "after", "change", f"{percent(found.level)} interval"]
        rows = [
            [
                a.name,
                a.view or "-",
                number(a.value),
                number(b.value),
                signed(c.value if c.unbiased is None else c.unbiased),
                interval(c.low, c.high, sign=True),
            ]
            for a, b, c in zip(found.estimates, found.after, found.change, strict=True)
        ]
    else:
        titles = ["metric", "view", "value", f"{percent(found.level)} interval", "unbiased"]
        rows = [
            [
                e.name,
                e.view or "-",
                number(e.value) or f"not available: {e.missing}",
                interval(e.low, e.high),
                number(e.unbiased),
            ]
            for e in found.estimates
        ]
    lines += table(titles, rows)
    lines += [line for warning in found.warnings for line in ("", f"Warning: {escape(warning)}")]
    if found.reading:
        lines += [part for line in found.reading.split("\n") for part in ("", escape(line))]
    return "\n".join(lines) + "\n"


def outcome(found: Outcome) -> str:
    """A table of verdicts, and why below it."""
    titles = [*verdicts.titles(found), "margin", "why"]
    rows = []
    for v in found.verdicts:
        *cells, word = verdicts.cells(found, v)
        word = word if found.counts_as(v) == "pass" else f"**{word}**"
        rows.append([*cells, word, signed(v.held.margin), verdicts.reason(v)])
    lines = [escape(verdicts.head(found)), "", *table(titles, rows)]
    notes = [f"{v.requirement.text}: {v.note}." for v in found.verdicts if v.note]
    said = [verdicts.power(found), *notes, *(f"Warning: {w}" for w in found.report.warnings)]
    said += [verdicts.basis(found), verdicts.summary(found)]
    lines += [part for text in said if text for part in ("", escape(text))]
    return "\n".join(lines) + "\n"


def selection(found: Selection) -> str:
    """A table of candidates, and the choice below it."""
    titles, rows = selection_cells(found, wide=True)
    rows = [[f"**{cell}**" if r[0] == found.chosen and cell else cell for cell in r] for r in rows]
    failed = [f"{one.method}: {one.failed}" for one in found.candidates if one.failed]
    lines = [escape(found.data.describe()), "", *table(titles, rows)]
    lines += [part for text in failed for part in ("", f"Not fitted: {escape(text)}")]
    return "\n".join([*lines, "", f"Chosen: {escape(found.why)}"]) + "\n"


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: bool = False,
    links: bool = False,
) -> list[str]:
    """The lines of a pipe table: numbers to the right from the third column on, unless all of
    them are words, or a title says that one is. Cells of the first column may be `links`."""
    left = ("verdict", "why")
    rule = ["---" if words or k < 2 or t in left else "---:" for k, t in enumerate(titles)]
    escaped = [
        [cell if links and not index else escape(cell) for index, cell in enumerate(row)]
        for row in rows
    ]
    return [f"| {' | '.join(cells)} |" for cells in (titles, rule, *escaped)]


def escape(text: str) -> str:
    """Text that Markdown leaves as it is, in a cell or outside."""
    for character in "\\|<>`":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
