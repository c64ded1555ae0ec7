"""The table for people: 80 columns, one screen."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from calibtool.analysis.selection import Selection
from calibtool.evaluation.report import Report
from calibtool.formatting import interval, number, percent, signed
from calibtool.gate.outcome import Outcome
from calibtool.intervals.estimate import Estimate
from calibtool.reports import verdicts
from calibtool.reports.selection import selection_cells

WIDE = 118  # columns of a terminal that shows all columns of a selection


def report(found: Report, *, width: int, colour: bool) -> str:
    """What was read, the metrics, what they say."""
    if found.after:
        titles = ["metric", "view", "before", "after", "change"]
        table = _table(*titles, *([_title(found)] if found.level is not None else []))
        for before, after, change in zip(found.estimates, found.after, found.change, strict=True):
            if not change.missing:
                best = change.value if change.unbiased is None else change.unbiased
                cells = [before.name, before.view or "-", number(before.value), number(after.value)]
                cells += [signed(best), interval(change.low, change.high, sign=True)]
                table.add_row(*cells[: len(table.columns)])
    else:
        titles = ["metric", "view", "value"]
        if found.level is not None:
            titles += [_title(found), "unbiased"]
        table = _table(*titles)
        for estimate in found.estimates:
            if not estimate.missing:
                table.add_row(*_row(estimate, len(titles)))
    parts: list[object] = [Text(found.data.describe(), style="bold"), table]
    if any(change.unbiased is not None for change in found.change):
        parts.append(Text("Changes of calibration errors are corrected for bias.", style="dim"))
    parts += [Text(line, style="dim") for line in _not_available(found.estimates)]
    parts += [Text(f"Warning: {warning}", style="yellow") for warning in found.warnings]
    if found.reading:
        parts.append(Text(found.reading))
    return _print(parts, width, colour)


def outcome(found: Outcome, *, width: int, colour: bool) -> str:
    """What was required, measured and decided, and why."""
    table = _table(*verdicts.titles(found))
    styles = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}
    for verdict in found.verdicts:
        *cells, word = verdicts.cells(found, verdict)
        table.add_row(*cells, Text(word, style=styles[found.counts_as(verdict)]))
    head = Text(verdicts.head(found), style="bold")
    power = [Text(text) for text in [verdicts.power(found)] if text]
    why = Text("\n".join(verdicts.below(found)))
    warnings = [Text(f"Warning: {w}", style="yellow") for w in found.report.warnings]
    basis = Text(verdicts.basis(found), style="dim")
    last = Text(verdicts.summary(found), style=styles[found.decision])
    return _print([head, *power, table, why, *warnings, basis, last], width, colour)


def selection(found: Selection, *, width: int, colour: bool) -> str:
    """Every candidate, the best first, and the choice; on a wide terminal, more columns."""
    titles, rows = selection_cells(found, wide=width >= WIDE)
    table = _table(*titles)
    table.columns[0].no_wrap, table.columns[1].justify = True, "right"
    for row in rows:
        table.add_row(*row, style="bold green" if row[0] == found.chosen else "")
    head = Text(f"{found.data.describe()}, {found.how}", style="bold")
    parts: list[object] = [head, table]
    parts += [
        Text(f"Not fitted: {one.method}: {one.failed}", style="yellow")
        for one in found.candidates
        if one.failed
    ]
    return _print([*parts, Text(f"Chosen: {found.why}")], width, colour)


def listing(
    head: str,
    titles: Sequence[str],
    cells: Sequence[Sequence[str]],
    below: Sequence[str],
    *,
    marked: frozenset[int],
    width: int,
    colour: bool,
) -> str:
    """A head, a table, and what is said below it; words wrap, numbers do not."""
    table = _table(*titles)
    for column, title in zip(table.columns, titles, strict=True):
        words = title in ("note", "view", "file", "slice")
        column.no_wrap = not words and "interval" not in title  # which breaks before it is cut
        column.justify = "left" if words or column is table.columns[0] else "right"
    for index, row in enumerate(cells):
        table.add_row(*row, style="bold red" if index in marked else "")
    return _print([Text(head, style="bold"), table, *map(Text, below)], width, colour)


def index(
    sections: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    below: Sequence[str],
    *,
    width: int,
    colour: bool,
) -> str:
    """Names and titles under the title of each section."""
    parts: list[object] = []
    long = max(len(name) for _, lines in sections for name, _ in lines)
    for title, lines in sections:
        parts += [Text(title, style="bold")]
        for name, what in lines:
            gap = " " * (long + 2 - len(name))
            parts.append(Text.assemble("  ", (name, "bold cyan"), gap, what))
        parts.append("")
    return _print([*parts, *below], width, colour, gap=False)


def entries(items: Sequence[tuple[str, str, Sequence[str]]], *, width: int, colour: bool) -> str:
    """A name and a title a line, with indented lines below."""
    parts: list[object] = []
    for name, title, lines in items:
        parts.append(Text.assemble((name, "bold cyan"), f"  {title}"))
        parts += [Padding(Text(line), (0, 0, 0, 4)) for line in lines]
    return _print(parts, width, colour, gap=False)


def _title(found: Report, of: str = "interval") -> str:
    return f"{percent(found.level)} {of}" if found.level is not None else ""


def _row(estimate: Estimate, columns: int) -> list[str]:
    cells = [estimate.name, estimate.view or "-", number(estimate.value)]
    if columns > 3:
        cells += [interval(estimate.low, estimate.high), number(estimate.unbiased)]
    return cells


def _not_available(estimates: Sequence[Estimate]) -> list[str]:
    """One line a reason, so that nothing is dropped in silence."""
    reasons: dict[str, list[str]] = {}
    for estimate in estimates:
        if estimate.missing:
            reasons.setdefault(estimate.missing, []).append(estimate.name)
    return [f"Not available: {', '.join(names)} ({why})" for why, names in reasons.items()]


def _table(*titles: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for index, title in enumerate(titles):
        left = index < 2 or title == "verdict"
        table.add_column(
            title, justify="left" if left else "right", no_wrap=index > 0, overflow="fold"
        )
    return table


def _print(parts: Sequence[object], width: int, colour: bool, *, gap: bool = True) -> str:
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
