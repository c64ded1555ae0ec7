"""Tables of a page: metrics, classes, slices, calibrators tried, files compared."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from calibtool.analysis.selection import Selection
from calibtool.diagrams.curve import Curve
from calibtool.formatting import (
    DIGITS,
    Change,
    changed,
    interval,
    number,
    p_value,
    percent,
    share,
)
from calibtool.formatting import changes as texts_of
from calibtool.intervals.direction import direction
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.registry import METRICS
from calibtool.metrics.spec import parse
from calibtool.reports.evaluation import change_cells, has_statistic, numbers
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
from calibtool.reports.selection import MIDDLE, selection_cells

_NUMBER = re.compile(r"[-+]?\d[\d.]*(?:e[-+]\d+)?")


def metrics(
    estimates: Sequence[Estimate], level: float | None, *, label: str = "Metrics"
) -> Markup:
    """Return a row per metric: value, interval and corrected value."""
    titles = ["metric", "value", "corrected", _interval(level), "in words"]
    tested = has_statistic(estimates)
    if tested:
        titles.insert(-1, "p-value")
    rows = []
    for estimate in estimates:
        if estimate.missing:
            wide = len(titles) - 1
            missing = element("td", estimate.missing, colspan=wide, class_="missing")
            rows.append(row(_name(estimate), missing))
            continue
        words = element("td", METRICS[parse(estimate.name).metric.name].title, class_="words")
        tail = [num(p_value(estimate.p_value))] if tested else []
        rows.append(row(_name(estimate), *_numbers(estimate), *tail, words))
    return table(titles, rows, label=label)


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
        first, second, *texts = change_cells(a, b, c)
        rows.append(row(_name(a), num(first), num(second), *_change(a, b, c, *texts)))
    return table(
        ["metric", "before", "after", "change", _interval(level)], rows, label="Before and after"
    )


def classes(record: Classes, level: float | None) -> Markup:
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
        *("class", "labelled", "predicted", "confidence", "accuracy", "gap", _interval(level)),
        *("recall", "ECE"),
    ]
    return table(titles, rows, label="Classes", sortable=True, sorted_by=_interval(level))


def slices(record: Slices, names: tuple[str, str], level: float | None) -> Markup:
    """Return a row per group of rows; a reader can sort it by its headings."""
    reach = _reach(record.groups)
    rows = []
    for group in record.groups:
        error = group.errors[0] if group.errors else Estimate("", None)
        rows.append(
            row(
                element("th", group.name, scope="row"),
                num(f"{group.rows:,}", sort=group.rows),
                *_gap(group, reach),
                *(_numbers(error) if error.value is not None else [num("")] * 3),
            )
        )
    titles = [
        *(record.column, "rows", *map(lower, names), "gap", _interval(level)),
        *("ECE", "corrected", _interval(level)),
    ]
    return table(titles, rows, label=f"Slices by {record.column}", sortable=True)


def tried(selection: Selection) -> Markup:
    """Return a row per calibrator that was tried, the best first."""
    titles, lines = selection_cells(selection, MIDDLE)
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


def bins(curve: Curve, names: tuple[str, str], level: float | None) -> Markup:
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
    titles = ["bin", "rows", *map(lower, names), _interval(level)]
    return table(titles, rows, label="Bins")


def side_by_side(
    subjects: Sequence[FileSummary], comparison: Comparison | None, level: float | None
) -> Markup:
    """Return the metrics of several files: a row per metric, and per file a column of the corrected
    estimates and one of their intervals."""
    rows = []
    for k, estimates in enumerate(metric_rows(subjects)):
        # files whose changes are shown have the same metrics
        texts = paired(subjects, comparison, k) if comparison and comparison.changes else []
        digits = texts[0].digits if texts else DIGITS
        cells = []
        for estimate in estimates:
            text = number(estimate.best, digits) or estimate.missing
            ends = interval(estimate.low, estimate.high, digits=digits)
            cells += [num(text), num(ends, "interval")]
        rows.append(row(_name(estimates[0]), *cells))
    titles = ["metric", *(part for s in subjects for part in (s.name, _interval(level)))]
    return table(titles, rows, label="Metrics of every file")


def paired(subjects: Sequence[FileSummary], comparison: Comparison, metric: int) -> list[Change]:
    """Return the changes of a metric, by its number, from the first file to every other as text.

    They have the decimals of the metrics side by side, of which they are the differences. Files
    whose rows were put in another order to pair them were drawn again: their differences are those
    of the paired rows.
    """
    estimates = [subject.report.estimates[metric] for subject in subjects]
    same = [change[metric] for _, change in comparison.changes]
    first = estimates[0].best
    after = []
    for estimate, change in zip(estimates[1:], same, strict=False):
        value = estimate.best
        if first is not None and change.best is not None and value is not None:
            moved = first + change.best
            value = value if math.isclose(value, moved, rel_tol=0, abs_tol=1e-9) else moved
        after.append((value, change.low, change.high))
    return texts_of(first, after)


def differences(
    comparison: Comparison, subjects: Sequence[FileSummary], level: float | None
) -> list[Markup]:
    """Return a table per file: its metrics minus those of the first one."""
    first, before = subjects[0].name, subjects[0].report
    tables = []
    for at, (name, change) in enumerate(comparison.changes):
        after = subjects[at + 1].report
        rows = []
        for k, estimate in enumerate(change):
            texts = paired(subjects, comparison, k)[at]
            pair = (before[estimate.name], after[estimate.name])
            missing = [num(""), num(estimate.missing)]
            shown = missing if estimate.missing else _change(*pair, estimate, *texts[2:])
            rows.append(row(_name(estimate), *shown))
        titles = [f"{name} minus {first}", "change", _interval(level)]
        tables.append(table(titles, rows, label=f"{name} minus {first}"))
    return tables


# ------------------------------------------------------------------ parts


def table(
    titles: Sequence[str],
    rows: Iterable[Markup],
    *,
    label: str,
    sortable: bool = False,
    sorted_by: str = "",
) -> Markup:
    """Return a table that scrolls sideways on a narrow screen.

    Args:
        titles: of the columns.
        rows: elements.
        label: the name of the table.
        sortable: let page.js sort it by its headings and, if it is long, search it.
        sorted_by: title of the column whose largest values are the first.
    """
    head = [
        element(
            "th",
            element("span", title),
            scope="col",
            class_=_kind(k, title),
            aria_sort="descending" if title == sorted_by else None,
        )
        for k, title in enumerate(titles)
    ]
    body = element("tbody", Markup("\n"), *(part for line in rows for part in (line, Markup("\n"))))
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
    # a name that says its view is not told twice
    unsaid = estimate.view and "view=" not in estimate.name
    view = element("span", f" {estimate.view}", class_="view") if unsaid else None
    return element("th", estimate.name, view, scope="row")


def _numbers(estimate: Estimate) -> list[Markup]:
    """Return the cells of value, corrected estimate and interval."""
    value, corrected, ends = numbers(estimate)
    return [num(value, sort=estimate.value), num(corrected), num(ends, "interval")]


def gap_cells(group: Group) -> Change:
    """Return outcome, score, gap and its interval as text, in per cent."""
    low, high = group.gap_interval or (None, None)
    texts = changed(group.outcome, group.score, low, high, digits=3)
    few = texts.digits == 3
    return Change(
        share(group.outcome) if few else _percents(texts.before),
        share(group.score) if few else _percents(texts.after),
        _percents(texts.change),
        _percents(texts.interval),
    )


def _percents(text: str) -> str:
    """Return text whose numbers are shares with these as percentages.

    >>> _percents("[-2.0e-04, +0.041]"), _percents("0.148"), _percents("")
    ('[-0.020, +4.1] %', '14.8 %', '')
    """

    def hundredfold(found: re.Match[str]) -> str:
        sign = "+" if found[0].startswith("+") else ""
        return f"{sign}{Decimal(found[0]).scaleb(2):f}"

    return f"{re.sub(_NUMBER, hundredfold, text)} %" if text else ""


def _gap(group: Group, reach: float) -> list[Markup]:
    """Return the cells of score, outcome, gap and its interval, as numbers and as a picture."""
    gap, ends = group.gap, group.gap_interval
    low, high = ends or (None, None)
    texts = gap_cells(group)
    drawn = element(
        "td",
        strip(gap, low, high, reach),
        element("span", texts.interval, class_="interval"),
        class_="n drawn",
        data_v=None if group.beyond is None else f"{group.beyond:.9g}",
    )
    return [
        num(texts.after, sort=group.score),
        num(texts.before, sort=group.outcome),
        num(texts.change, "off" if group.off else "", sort=gap),
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


def _change(
    before: Estimate, after: Estimate, estimate: Estimate, text: str, ends: str
) -> list[Markup]:
    """Return the cells of a change, coloured if its interval excludes 0 and it is for the better or
    the worse, and of its interval."""
    colour = {"better": "good", "worse": "bad"}.get(direction(before, after, estimate), "")
    return [num(text, colour), num(ends, "interval")]


def _interval(level: float | None) -> str:
    """Return the title of a column of intervals."""
    return f"{percent(level)} interval" if level else "interval"
