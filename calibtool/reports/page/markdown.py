"""A page as Markdown: for pull requests and, with metadata, for model cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibtool.formatting import (
    DIGITS,
    capitalized,
    interval,
    json_text,
    number,
    percent,
    printable,
    share,
)
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.registry import METRICS
from calibtool.metrics.spec import parse
from calibtool.reports.evaluation import change_cells, numbers, p_values, values
from calibtool.reports.markdown import Marked, bold, escape, inline, table
from calibtool.reports.page import advice
from calibtool.reports.page.advice import Advice
from calibtool.reports.page.model import (
    Classes,
    Clinical,
    Comparison,
    FileSummary,
    Group,
    Page,
    Slices,
    metric_rows,
)
from calibtool.reports.page.tables import gap_cells, paired
from calibtool.reports.selection import MIDDLE, remarks, selection_cells

CORRECTED = "Numbers are corrected for bias; each file's own table has the plain values."
MOST = 10  # classes that are listed: the page has all of them, a pull request has no room
MARKS = "\\`*_[]<>|#!~&"  # characters that mean something to Markdown


def document(page: Page, *, task: str | None = None, model: str = "") -> str:
    """Return the whole text; with a `task`, it begins with Hugging Face's metadata."""
    several = len(page.subjects) > 1
    lines = metadata(page, task, model) if task is not None else []
    lines += [f"# {_word(page.title)}", ""]
    if several:
        lines += _comparison(page)
    for subject in page.subjects:
        lines += _subject(page, subject, several=several)
    if page.command:
        lines += [f"Made by `{printable(page.command).replace('`', '')}`.", ""]
    return "\n".join(lines).rstrip() + "\n"


def metadata(page: Page, task: str, model: str) -> list[str]:
    """Return the block of YAML that the Hub reads: `model-index`, with one result per file. Texts
    are written as JSON, which is YAML."""
    lines = ["---", "model-index:", f"- name: {json_text(model or page.title)}", "  results:"]
    for subject in page.subjects:
        data = json_text(Path(subject.name).stem)
        lines += ["  - task:", f"      type: {json_text(task)}"]
        lines += ["    dataset:", f"      name: {data}", f"      type: {data}", "    metrics:"]
        for estimate in subject.report.estimates:
            if estimate.value is None or number(estimate.value) in ("inf", "-inf", "nan"):
                continue
            lines += [
                f"    - type: {json_text(estimate.name)}",
                f"      value: {_yaml(estimate.value)}",
            ]
            lines += [f"      name: {json_text(_title(estimate))}"]
    return [*lines, "---", ""]


def _yaml(value: float) -> str:
    """Return a number as YAML 1.1 writes it: 1e-05 would be a text there.

    >>> _yaml(0.25), _yaml(1e-05)
    ('0.25', '1.0e-05')
    """
    digits, e, power = repr(float(value)).partition("e")
    return f"{digits}{'' if '.' in digits or not e else '.0'}{e}{power}"


def _word(text: str) -> Marked:
    """Return a user's text so that Markdown makes neither a link, an image nor emphasis of it."""
    shown = " ".join(printable(text).split())
    return Marked(inline("".join(f"\\{c}" if c in MARKS else c for c in shown)))


def _title(estimate: Estimate) -> str:
    """Return a metric's title with its interval, for which the Hub has no field."""
    title = METRICS[parse(estimate.name).metric.name].title
    view = f", {estimate.view} view" if estimate.view else ""
    value, corrected, ends = numbers(estimate)
    other = f", corrected {corrected}" if ends and corrected != value else ""
    return f"{title}{view}{other} {ends}".rstrip()


def _subject(page: Page, subject: FileSummary, *, several: bool) -> list[str]:
    """Return everything about one file."""
    report = subject.report
    lines = [f"## {_word(subject.name)}", ""] if several else []
    lines += [f"**{escape(subject.verdict)}**", ""]
    lines += _advice(advice.about_file(page, subject))
    if subject.effect:
        lines += [escape(capitalized(subject.effect)), ""]
    lines += [_word(report.data.describe()), ""]
    remarks = [("Note", note) for note in report.notes]
    remarks += [("Warning", warning) for warning in report.warnings]
    lines += [part for kind, text in remarks for part in (f"{kind}: {escape(text)}", "")]
    if subject.clinical is not None:
        lines += _clinical(subject, subject.clinical, page.level)
    lines += [*_metrics(page, subject), ""]
    lines += _fix(subject)
    if subject.classes is not None:
        lines += _classes(subject.classes, page.level)
    for slices in subject.slices:
        lines += _slices(slices, page.level)
    if subject.checks:
        lines += ["Data checks:", "", *(f"- {escape(check)}" for check in subject.checks), ""]
    signatures = [e.signature for e in report.estimates if not e.missing]
    return [
        *lines,
        *("<details><summary>How each number was computed</summary>", "", "```text"),
        *(printable(signature).replace("```", "") for signature in signatures),
        *("```", "", "</details>", ""),
    ]


def _advice(given: Advice) -> list[str]:
    """Return what to do, the command that does it, and how sure the verdict is."""
    command = ["", "```console", f"$ {printable(given.command).replace('`', '')}", "```"]
    return [
        f"What to do: {escape(given.action)}",
        *(command if given.command else []),
        "",
        f"How sure: {escape(given.certainty)}",
        "",
    ]


def _metrics(page: Page, subject: FileSummary) -> list[str]:
    """Return the table of metrics; with a calibrator, before and after it."""
    report = subject.report
    if not report.after:
        titles, cells = values(report, whole=True)
        return table(titles, cells)
    end = f"{percent(page.level)} interval"
    rows = []
    for before, after, change in zip(report.estimates, report.after, report.change, strict=True):
        texts = change_cells(before, after, change)
        rows.append([before.name, before.view or "-", *numbers(before, texts.digits), *texts[1:]])
    titles = ["metric", "view", "value", "corrected", end, "after", "change", end]
    return [
        *table(titles, rows),
        "",
        "After is corrected for bias, and change is after minus corrected.",
        *(line for text in p_values(report) for line in ("", escape(text))),
    ]


def _clinical(subject: FileSummary, clinical: Clinical, level: float | None) -> list[str]:
    """Return what a report on a clinical prediction model has to show, as tables."""
    ends = f"{percent(level)} interval"
    rows = [[e.name, *numbers(e)] for e in clinical.estimates]
    lines = ["Clinical use:", "", *table(["metric", "value", "corrected", ends], rows), ""]
    curve, decision = clinical.calibration[0], clinical.decision
    at = _spread(len(curve.score))
    columns = (curve.score[at], curve.outcome[at], curve.low[at], curve.high[at])
    rows = [
        [number(x), number(y), interval(low, high)]
        for x, y, low, high in np.stack(columns, axis=1).tolist()
    ]
    titles = [_word(subject.named("P(class 1)")), "frequency", ends]
    lines += [
        "Calibration, smoothed by a local regression, which may leave [0, 1] where rows are few:",
        "",
        *table(titles, rows),
        "",
    ]
    model, everybody = decision.curves[0], decision.everybody[0]
    at = _spread(len(decision.thresholds))
    points = (decision.thresholds, model.value, model.low, model.high, everybody.value)
    rows = [
        [share(x), number(y), interval(low, high), number(other)]
        for x, y, low, high, other in np.stack([p[at] for p in points], axis=1).tolist()
    ]
    titles = ["threshold", "net benefit", ends, "acting on everybody"]
    lines += ["Net benefit, that of acting on nobody being 0:", "", *table(titles, rows), ""]
    rows = [
        [
            _word(subject.named(side.label)),
            share(side.share),
            number(side.mean),
            number(side.median),
        ]
        for side in clinical.outcomes.sides
    ]
    titles = ["outcome", "rows", _word(subject.named("mean P(class 1)")), "median"]
    return [*lines, "Probabilities by outcome:", "", *table(titles, rows), ""]


def _spread(count: int) -> list[int]:
    """Return the positions of at most 11 of `count` points of a curve, its ends among them.

    >>> _spread(101)[:3], _spread(3)
    ([0, 10, 20], [0, 1, 2])
    """
    steps = min(MOST, max(count - 1, 1))
    return sorted({round(k * (count - 1) / steps) for k in range(steps + 1)})


def _fix(subject: FileSummary) -> list[str]:
    if subject.fix is None:
        return [escape(subject.no_fix), ""]
    lines = [f"After: {escape(subject.fix.title)}, {escape(subject.fix.how)}.", ""]
    selection = subject.selection
    if selection is None or len(selection.candidates) <= 2:
        return lines
    titles, rows = selection_cells(selection, MIDDLE)
    rows = [
        [bold(cell) if row[0] == selection.chosen and cell else cell for cell in row]
        for row in rows
    ]
    lines += [*table(titles, rows), "", f"Chosen: {escape(selection.why)}", ""]
    for candidate in selection.candidates:
        if candidate.failed:
            lines += [f"Not fitted: {candidate.method}: {escape(candidate.failed)}", ""]
    for note in remarks(selection):
        lines += [escape(note.text), ""]
    return lines


def _classes(classes: Classes, level: float | None) -> list[str]:
    rows = [
        [
            _word(row.predicted.name),
            f"{row.labelled:,}",
            f"{row.predicted.rows:,}",
            *_gap(row.predicted),
            share(row.recall),
            number(row.ece),
        ]
        for row in classes.rows[:MOST]
    ]
    titles = ["class", "labelled", "predicted", "confidence", "accuracy", "gap"]
    titles.append(f"{percent(level)} interval")
    head = "Classes, by the rows they are predicted in, the widest gaps first"
    if classes.total > MOST:
        head += f" ({MOST} of {classes.total:,})"
    return [f"{head}:", "", *table([*titles, "recall", "ECE"], rows), ""]


def _slices(slices: Slices, level: float | None) -> list[str]:
    rows = []
    for group in slices.groups:
        errors = numbers(group.errors[0]) if group.errors else [""] * 3
        rows.append([_word(group.name), f"{group.rows:,}", *_gap(group), *errors])
    ends = f"{percent(level)} interval"
    titles = [slices.column, "rows", "confidence", "accuracy", "gap", ends]
    titles += ["ECE", "corrected", ends]
    head = f"Slices by {_word(slices.column)}: {escape(slices.note)}".rstrip(": ")
    worst = [escape(slices.worst), ""] if slices.worst else []
    return [*worst, f"{head}:", "", *table([_word(titles[0]), *titles[1:]], rows), ""]


def _gap(group: Group) -> list[str]:
    outcome, score, gap, ends = gap_cells(group)
    return [score, outcome, gap, ends]


def _comparison(page: Page) -> list[str]:
    """Return each file's verdict, the metrics side by side, and the differences."""
    subjects = page.subjects
    lines = [f"- **{_word(s.name)}**: {escape(s.verdict)}" for s in subjects]
    if (given := advice.about_comparison(page)) is not None:
        lines += ["", *_advice(given)[:-1]]
    names = [_word(s.name) for s in subjects]
    comparison = page.comparison
    rows = []
    for k, same in enumerate(metric_rows(subjects)):
        texts = paired(subjects, comparison, k) if comparison and comparison.changes else []
        digits = texts[0].digits if texts else DIGITS
        cells = [same[0].name, same[0].view or "-"]
        for e in same:
            ends = interval(e.low, e.high, digits=digits)
            cells.append(f"{number(e.best, digits) or e.missing} {ends}".rstrip())
        rows.append(cells)
    lines += ["", *table(["metric", "view", *names], rows), "", CORRECTED, ""]
    if comparison is None or not comparison.changes:
        return lines + ([_word(comparison.unpaired), ""] if comparison is not None else [])
    titles = [Marked(f"minus {names[0]}"), "view"]
    ends = f"{percent(page.level)} interval"
    titles += [part for name, _ in comparison.changes for part in (_word(name), ends)]
    return [*lines, *table(titles, _differences(subjects, comparison)), ""]


def _differences(subjects: Sequence[FileSummary], comparison: Comparison) -> list[list[str]]:
    rows = []
    changes = [change for _, change in comparison.changes]
    for k, same in enumerate(zip(*changes, strict=True)):
        cells = [same[0].name, same[0].view or "-"]
        for estimate, texts in zip(same, paired(subjects, comparison, k), strict=True):
            cells += [texts.change or estimate.missing, texts.interval]
        rows.append(cells)
    return rows
