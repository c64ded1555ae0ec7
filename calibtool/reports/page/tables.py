"""Tables of a page: metrics, classes, slices, calibrators tried, files compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from calibtool.analysis.selection import Selection
from calibtool.diagrams.curve import Curve
from calibtool.formatting import interval, number, percent, share, signed
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.registry import METRICS
from calibtool.metrics.spec import parse
from calibtool.reports.evaluation import best_change
from calibtool.reports.page.figures import lower
from calibtool.reports.page.markup import Markup, element
from calibtool.reports.page.model import (
    Classes,
    Comparison,
    FileSummary,
    Group,
    Slices,
    metric_rows,
)
from calibtool.reports.page.svg import strip
from calibtool.reports.selection import selection_cells


def metrics(estimates: Sequence[Estimate], level: float | None) -> Markup:
    """Return a row per metric: value, interval and corrected value."""
    rows = []
    for estimate in estimates:
        if estimate.missing:
            rows.append(
                row(_name(estimate), element("td", estimate.missing, colspan=4, class_="missing"))
            )
            continue
        ends = interval(estimate.low, estimate.high)
        cells = [
            num(number(estimate.value)),
            num(ends, "interval"),
            num(number(estimate.corrected)),
        ]
        words = element("td", METRICS[parse(estimate.name).metric.name].title, class_="words")
        rows.append(row(_name(estimate), *cells, words))
    return table(
        ["metric", "value", _interval(level), "corrected", "in words"], rows, label="Metrics"
    )


def changes(
    before: Sequence[Estimate],
    after: Sequence[Estimate],
    change: Sequence[Estimate],
    level: float | None,
) -> Markup:
    """Return a row per metric: before and after a calibrator, and the change."""
    rows = []
    for a, b, c in zip(before, after, change, strict=True):
        if c.missing:
            rows.append(row(_name(a), element("td", c.missing, colspan=4, class_="missing")))
            continue
        cells = [num(number(a.value)), num(number(b.value)), *_change(c)]
        rows.append(row(_name(a), *cells))
    return table(
        ["metric", "before", "after", "change", _interval(level)], rows, label="Before and after"
    )


def classes(record: Classes) -> Markup:
    """Return a row per class; a reader can sort it by its headings."""
    reach = _reach([entry.predicted for entry in record.rows])
    rows = []
    for entry in record.rows:
        group = entry.predicted
        rows.append(
            row(
                element("th", group.name, scope="row"),
                num(f"{entry.labelled:,}", sort=entry.labelled),
                num(f"{group.rows:,}", sort=group.rows),
                *_gap(group, reach),
                num(share(entry.recall), sort=entry.recall),
                num(number(entry.ece), sort=entry.ece),
            )
        )
    titles = [
        *("class", "labelled", "predicted", "confidence", "accuracy", "gap", "interval of the gap"),
        *("recall", "ECE"),
    ]
    return table(titles, rows, label="Classes", sortable=True)


def slices(record: Slices, names: tuple[str, str]) -> Markup:
    """Return a row per group of rows; a reader can sort it by its headings."""
    reach = _reach(record.groups)
    rows = []
    for group in record.groups:
        error = group.errors[0] if group.errors else None
        value = error.value if error else None
        rows.append(
            row(
                element("th", group.name, scope="row"),
                num(f"{group.rows:,}", sort=group.rows),
                *_gap(group, reach),
                num(number(value), sort=value),
                num(interval(error.low, error.high) if error else "", "interval"),
            )
        )
    titles = [
        *(record.column, "rows", *map(lower, names), "gap", "interval of the gap"),
        *("ECE", "interval of ECE"),
    ]
    return table(titles, rows, label=f"Slices by {record.column}", sortable=True)


def tried(selection: Selection) -> Markup:
    """Return a row per calibrator that was tried, the best first."""
    titles, lines = selection_cells(selection, wide=False)
    reach = _far(selection)
    rows = []
    for cells in lines:
        method, *rest = cells
        candidate = selection[method]
        drawn = (
            Markup()
            if candidate.method == selection.best
            else strip(candidate.behind, candidate.low, candidate.high, reach)
        )
        chosen = " (chosen)" if method == selection.chosen else ""
        rows.append(
            row(
                element("th", method, chosen, scope="row"),
                *(num(cell) for cell in rest),
                element("td", drawn),
                class_="chosen" if chosen else None,
            )
        )
    return table([*titles, "behind the best"], rows, label="Calibrators tried")


def bins(curve: Curve, names: tuple[str, str]) -> Markup:
    """Return the numbers of a reliability diagram: a row per bin."""
    assert curve.edges is not None
    rows = []
    for k in range(len(curve.mass)):
        if not curve.mass[k] > 0:
            continue
        ends = interval(float(curve.low[k]), float(curve.high[k]))
        rows.append(
            row(
                element("th", f"{curve.edges[k]:.3g} to {curve.edges[k + 1]:.3g}", scope="row"),
                num(share(float(curve.mass[k]))),
                num(number(float(curve.score[k]))),
                num(number(float(curve.outcome[k]))),
                num(ends, "interval"),
            )
        )
    titles = ["bin", "rows", *map(lower, names), "interval"]
    return table(titles, rows, label="Bins")


def side_by_side(subjects: Sequence[FileSummary]) -> Markup:
    """Return the metrics of several files: a row per metric, a column per file."""
    rows = []
    for estimates in metric_rows(subjects):
        cells = []
        for estimate in estimates:
            ends = element("span", interval(estimate.low, estimate.high), class_="interval")
            cells.append(
                element("td", number(estimate.value) or estimate.missing, " ", ends, class_="n")
            )
        rows.append(row(_name(estimates[0]), *cells))
    titles = ["metric", *(subject.name for subject in subjects)]
    return table(titles, rows, label="Metrics of every file")


def differences(comparison: Comparison, first: str, level: float | None) -> list[Markup]:
    """Return a table per file: its metrics minus those of the first one."""
    tables = []
    for name, change in comparison.changes:
        rows = [
            row(
                _name(estimate),
                *(_change(estimate) if not estimate.missing else [num(""), num(estimate.missing)]),
            )
            for estimate in change
        ]
        titles = [f"{name} minus {first}", "change", _interval(level)]
        tables.append(table(titles, rows, label=f"{name} minus {first}"))
    return tables


# ------------------------------------------------------------------ parts


def table(
    titles: Sequence[str], rows: Iterable[Markup], *, label: str, sortable: bool = False
) -> Markup:
    """Return a table that scrolls sideways on a narrow screen; page.js sorts it if `sortable`."""
    head = [
        element("th", element("span", title), scope="col", class_=_kind(k, title))
        for k, title in enumerate(titles)
    ]
    body = element("tbody", "\n", *(part for line in rows for part in (line, Markup("\n"))))
    inner = element(
        "table",
        element("thead", element("tr", *head)),
        body,
        aria_label=label,
        class_="sortable" if sortable else None,
    )
    return element("div", inner, class_="scroll", tabindex=0, role="group", aria_label=label)


def _kind(index: int, title: str) -> str | None:
    if title == "in words":
        return "words"
    return "n" if index else None


def row(*cells: Markup, class_: str | None = None) -> Markup:
    """Return a row of a table."""
    return element("tr", *cells, class_=class_)


def num(text: str, also: str = "", *, sort: float | None = None) -> Markup:
    """Return a cell that holds a number, aligned right; `sort` is what it is sorted by."""
    sort_ = None if sort is None else f"{sort:.9g}"
    return element("td", text, class_=f"n {also}".rstrip(), data_v=sort_)


def _name(estimate: Estimate) -> Markup:
    view = element("span", f" {estimate.view}", class_="view") if estimate.view else None
    return element("th", estimate.name, view, scope="row")


def _gap(group: Group, reach: float) -> list[Markup]:
    """Return the cells of score, outcome, gap and its interval, as numbers and as a picture."""
    gap, ends = group.gap, group.gap_interval
    low, high = ends or (None, None)
    drawn = element(
        "td",
        strip(gap, low, high, reach),
        element("span", interval(low, high, sign=True), class_="interval"),
        class_="n drawn",
        data_v=None if gap is None else f"{gap:.9g}",
    )
    return [
        num(share(group.score), sort=group.score),
        num(share(group.outcome), sort=group.outcome),
        num(signed(gap), "off" if group.off else "", sort=gap),
        drawn,
    ]


def _far(selection: Selection) -> float:
    """Return the reach of the strips that show how far calibrators are behind the best.

    Two thirds of the intervals fit: one calibrator that fails would otherwise make the strips of
    all others too short to be told apart.
    """
    highs = sorted(
        candidate.high for candidate in selection.candidates if candidate.high is not None
    )
    return max(1.2 * highs[len(highs) * 2 // 3], 1e-6) if highs else 1.0


def _reach(groups: Sequence[Group]) -> float:
    """Return the reach of the strips of gaps: wide enough for every gap, not for every interval."""
    gaps = [abs(group.gap) for group in groups if group.gap is not None]
    return 1.5 * max([*gaps, 0.02])  # gaps below 2 % are not blown up to look large


def _change(estimate: Estimate) -> list[Markup]:
    """Return the cells of a change, coloured if its interval leaves out 0, and of its interval."""
    colour = ""
    if (
        estimate.better
        and estimate.low is not None
        and estimate.high is not None
        and not estimate.low <= 0 <= estimate.high
    ):
        colour = "good" if (estimate.high < 0) == (estimate.better == "lower") else "bad"
    return [
        num(signed(best_change(estimate)), colour),
        num(interval(estimate.low, estimate.high, sign=True), "interval"),
    ]


def _interval(level: float | None) -> str:
    """Return the title of a column of intervals."""
    return f"{percent(level)} interval" if level else "interval"
