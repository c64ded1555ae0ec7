"""The table of several reports: a row per report and a column per metric, as papers have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from calibtool.analysis.side_by_side import SideBySide
from calibtool.evaluation.report import Report
from calibtool.evaluation.wording import effect, p_text
from calibtool.formatting import Lines, number, percent
from calibtool.intervals.estimate import Estimate
from calibtool.reports import evaluation
from calibtool.reports.comparison import aim
from calibtool.reports.table import Note, Table

GAP = 3  # blanks between columns of a table of text
NONE = "n/a"
Grid: TypeAlias = tuple[list[str], list[list[str]]]  # titles and cells


def table(result: SideBySide, width: int | None) -> Table:
    """Return a row per report and a column per metric or, where that is too wide, the transposed
    or, where that is too wide, a row per metric and report."""
    sheet = _Sheet(result)
    layouts = (sheet.models(), sheet.metrics())
    fits = (grid for grid in layouts if width is None or _width(grid) <= width)
    grid = next(fits, None)
    titles, cells = grid or sheet.lines()
    return Table(
        kind="calibtool-reports",
        head=Lines.of(_head(result)),
        titles=titles,
        cells=cells,
        records=[
            {"file": name, **record}
            for name, report in result.reports.items()
            for record in evaluation.records(report)
        ],
        key="",
        notes=[
            *_notes(sheet, brackets=grid is not None),
            *_remarks(result),
            *_readings(result),
        ],
        body={
            "reports": [
                {"name": name, **evaluation.body(report)} for name, report in result.reports.items()
            ]
        },
        columns=("file", "system", *evaluation.FIELDS),
        paper=_paper(sheet),
    )


def _width(grid: Grid) -> int:
    from rich.cells import cell_len

    titles, cells = grid
    columns = zip(titles, *cells, strict=True)
    return sum(max(map(cell_len, column)) + GAP for column in columns) - GAP


def _head(result: SideBySide) -> Iterator[str]:
    for name, report in result.reports.items():
        text, path = report.data.describe(), Path(report.data.source)
        yield text if name in (path.stem, path.name, str(path)) else f"{name}: {text}"


class _Sheet:
    """The numbers of the table as text, in several layouts.

    Attributes:
        result: what is shown.
        rows: its rows: names and estimates by metric.
        shown: the metrics that are available in at least one row, and an estimate of each.
    """

    def __init__(self, result: SideBySide) -> None:
        self.result = result
        self.rows = [(name, {e.name: e for e in found}) for name, found in result.rows()]
        self.shown = {
            metric: known[0]
            for metric in result.metrics
            if (known := [e for _, e in self.known(metric)])
        }

    def known(self, metric: str) -> list[tuple[str, Estimate]]:
        """Return the rows in which a metric is available, with its estimate."""
        return [(name, e[metric]) for name, e in self.rows if metric in e and not e[metric].missing]

    def models(self, missing: str = NONE) -> Grid:
        """Return a row per report and a column per metric."""
        titles = ["file", *map(self.title, self.shown)]
        cells = [
            [
                name,
                *(" ".join(self.texts(found, metric)).strip() or missing for metric in self.shown),
            ]
            for name, found in self.rows
        ]
        return titles, cells

    def metrics(self) -> Grid:
        """Return a row per metric and a column per report."""
        titles, cells = self.models()
        _, *lines = zip(titles, *cells, strict=True)
        return ["metric", *(name for name, _ in self.rows)], [list(line) for line in lines]

    def lines(self) -> Grid:
        """Return a row per metric and report."""
        titles, level = ["metric", "file", "value"], self.result.level
        if level is not None:
            spread = "±" if self.result.half_widths else f"{percent(level)} interval"
            titles[2:] = ["corrected", spread]
        cells = []
        for metric in self.shown:
            for k, (name, found) in enumerate(self.rows):
                value, ends = self.texts(found, metric)
                line = ["" if k else self.title(metric), name, value or NONE]
                cells.append([*line, ends.removeprefix("± ")][: len(titles)])
        return titles, cells

    def title(self, metric: str) -> str:
        """Return the title of a metric's column."""
        return f"{metric} (%)" if self._scaled(metric) else metric

    def texts(self, found: dict[str, Estimate], metric: str) -> tuple[str, str]:
        """Return a number, and its interval or ± and a distance; "" for what is not known."""
        estimate = found.get(metric)
        value = estimate.best if estimate and not estimate.missing else None
        if estimate is None or value is None:
            return "", ""
        low, high = estimate.low, estimate.high
        shown = self._number(value, metric)
        if low is None or high is None:
            return shown, ""
        if self.result.half_widths:
            return shown, f"± {self._number(max(high - value, value - low), metric)}"
        return shown, f"[{self._number(low, metric)}, {self._number(high, metric)}]"

    def _number(self, value: float, metric: str) -> str:
        """Return a number, or the number of a percentage; less than 1 never reads 100."""
        digits = self.result.digits
        if not self._scaled(metric):
            return number(value, digits + 2 * self.result.percent)
        text = f"{100 * value + 0.0:.{digits}f}"  # + 0.0: no "-0.00"
        if value and float(text) == 0:
            return number(100 * value, digits)
        below = abs(value) < 1 and abs(float(text)) == 100
        return percent(value, digits).removesuffix(" %") if below else text

    def _scaled(self, metric: str) -> bool:
        """Return whether a metric is shown in percent: if it lies between -1 and 1 in all rows."""
        found = [estimates[metric] for _, estimates in self.rows if metric in estimates]
        return self.result.percent and all(e.least >= -1 and e.most <= 1 for e in found)


# ------------------------------------------------------------------ below the table


def _notes(sheet: _Sheet, *, brackets: bool) -> Iterator[Note]:
    """Return what the numbers of the table are; `brackets` hold intervals."""
    level = percent(sheet.result.level)
    if sheet.result.level is not None and sheet.result.half_widths:
        yield Note(f"±: the distance to the farther end of the {level} interval.", "quiet")
    elif sheet.result.level is not None and brackets:
        yield Note(f"In brackets: {level} intervals.", "quiet")
    yield from evaluation.corrected_note(e for _, found in sheet.rows for e in found.values())
    differ: dict[str, list[str]] = {}  # views by row -> metrics
    for metric in sheet.shown:
        views: dict[str, list[str]] = {}
        for name, estimate in sheet.known(metric):
            views.setdefault(estimate.view, []).append(name)
        if len(views) > 1:
            each = (f"{view or '-'} for {', '.join(names)}" for view, names in views.items())
            differ.setdefault("; ".join(each), []).append(metric)
    for text, metrics in differ.items():
        yield Note(f"Views differ: {text} ({', '.join(metrics)}).")
    for metric, estimate in sheet.shown.items():
        if evaluation.is_statistic(estimate):
            tested = [(name, e.p_value) for name, e in sheet.known(metric)]
            texts = [f"{p_text(p)} for {name}" for name, p in tested if p is not None]
            if texts:
                yield Note(f"{metric}: {', '.join(texts)}", "quiet")
    yield from _missing(sheet)


def _missing(sheet: _Sheet) -> Iterator[Note]:
    """Return why metrics are not available, and for what, if not for any row."""
    where: dict[tuple[str, str], list[str]] = {}  # metrics, reason -> rows
    for name, found in sheet.rows:
        for reason in dict.fromkeys(e.missing for e in found.values() if e.missing):
            metrics = ", ".join(e.name for e in found.values() if e.missing == reason)
            where.setdefault((metrics, reason), []).append(name)
    for (metrics, reason), names in where.items():
        of = "" if len(names) == len(sheet.rows) else f" for {', '.join(names)}"
        yield Note(f"Not available{of}: {metrics} ({reason})", "quiet")


def _remarks(result: SideBySide) -> Iterator[Note]:
    """Return notes and warnings of each report under its name."""
    for name, report in result.reports.items():
        for note in evaluation.remarks(report):
            lines = Lines.of(f"{name}: {line}" for line in note.text.split("\n"))
            yield Note(lines, note.tone)


def _readings(result: SideBySide) -> Iterator[Note]:
    """Return the reports in words, and what the table does not answer."""
    yield Note(Lines.of(f"{name}: {_reading(report)}" for name, report in result.reports.items()))
    if len(result.reports) > 1:
        yield Note("Do they differ beyond chance, on the same rows? calibtool compare")


def _reading(report: Report) -> str:
    """Return a report in words, without the next command."""
    said = effect(report) or report.reading
    return " ".join(line for line in said.split("\n") if not line.startswith("Next: "))


# ------------------------------------------------------------------ for a paper


def _paper(sheet: _Sheet) -> Table:
    """Return a row per report and a column per metric, with arrows to the better side; what
    reproduces the numbers stands in the notes."""
    titles, cells = sheet.models(missing="")
    aims = [aim(estimate.better, estimate.ideal) for estimate in sheet.shown.values()]
    signed = [e.signature for metric in sheet.shown for _, e in sheet.known(metric)]
    return Table(
        kind="calibtool-reports",
        head=Lines.of(_head(sheet.result)),
        titles=["", *map("".join, zip(titles[1:], aims, strict=True))],
        cells=cells,
        records=(),
        key="",
        notes=[
            *_notes(sheet, brackets=True),
            *_remarks(sheet.result),
            *dict.fromkeys(filter(None, signed)),
        ],
        decimals=True,
    )
