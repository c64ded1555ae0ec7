"""A report to be sent, as Markdown: for pull requests and, with metadata, for model cards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from calibtool.formatting import interval, number, percent, share, signed
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.registry import METRICS
from calibtool.metrics.spec import parse
from calibtool.reports.markdown import escape, table
from calibtool.reports.page.model import Classes, FileSummary, Group, Page, Slices
from calibtool.reports.selection import selection_cells

MOST = 10  # classes that are listed
MARKS = "\\`*_[]<>|#!~&"


def document(page: Page, *, task: str | None = None, model: str = "") -> str:
    """The whole text; with a `task`, below Hugging Face's metadata."""
    several = len(page.subjects) > 1
    lines = metadata(page, task, model) if task is not None else []
    lines += [f"# {_word(page.title)}", ""]
    if several:
        lines += _comparison(page)
    for subject in page.subjects:
        lines += _subject(page, subject, several=several)
    if page.command:
        lines += [f"Made by `{page.command.replace('`', '')}`.", ""]
    return "\n".join(lines).rstrip() + "\n"


def metadata(page: Page, task: str, model: str) -> list[str]:
    """The block of YAML that the Hub reads: `model-index`, a result a file. Texts are written as
    JSON, which is YAML."""

    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = ["---", "model-index:", f"- name: {text(model or page.title)}", "  results:"]
    for subject in page.subjects:
        data = text(Path(subject.name).stem)
        lines += ["  - task:", f"      type: {text(task)}"]
        lines += ["    dataset:", f"      name: {data}", f"      type: {data}", "    metrics:"]
        for one in subject.report.estimates:
            if one.value is None or number(one.value) in ("inf", "-inf", "nan"):
                continue
            lines += [f"    - type: {text(one.name)}", f"      value: {_yaml(one.value)}"]
            lines += [f"      name: {text(_title(one))}"]
    return [*lines, "---", ""]


def _yaml(value: float) -> str:
    """A number that YAML 1.1 takes for one: 1e-05 is a text there.

    >>> _yaml(0.25), _yaml(1e-05)
    ('0.25', '1.0e-05')
    """
    digits, e, power = repr(float(value)).partition("e")
    return f"{digits}{'' if '.' in digits or not e else '.0'}{e}{power}"


def _word(text: str) -> str:
    """A text of the user's, of which Markdown makes neither a link, a picture nor emphasis."""
    return "".join(f"\\{c}" if c in MARKS else c for c in " ".join(text.split()))


def _title(one: Estimate) -> str:
    """What a metric is called, with its interval: the Hub shows no other."""
    title = METRICS[parse(one.name).metric.name].title
    ends = interval(one.low, one.high)
    view = f", {one.view} view" if one.view else ""
    return f"{title}{view} {ends}".rstrip()


def _subject(page: Page, subject: FileSummary, *, several: bool) -> list[str]:
    """Everything about one file."""
    report = subject.report
    lines = [f"## {_word(subject.name)}", ""] if several else []
    lines += [f"**{escape(subject.verdict)}**", ""]
    if subject.effect:
        lines += [escape(_capital(subject.effect)), ""]
    lines += [_word(report.data.describe()), ""]
    lines += [part for warning in report.warnings for part in (f"Warning: {escape(warning)}", "")]
    lines += [*_metrics(page, subject), ""]
    lines += _fix(subject)
    if subject.classes is not None:
        lines += _classes(subject.classes)
    for found in subject.slices:
        lines += _slices(found)
    if subject.checks:
        lines += ["Data checks:", "", *(f"- {escape(check)}" for check in subject.checks), ""]
    signatures = [e.signature for e in report.estimates if not e.missing]
    return [
        *lines,
        *("<details><summary>How each number was computed</summary>", "", "```text"),
        *(signature.replace("```", "") for signature in signatures),
        *("```", "", "</details>", ""),
    ]


def _metrics(page: Page, subject: FileSummary) -> list[str]:
    """Before and, with a calibrator, after."""
    report = subject.report
    end = f"{percent(page.level)} interval"
    if not report.after:
        rows = [
            [
                e.name,
                e.view or "-",
                number(e.value) or f"not available: {e.missing}",
                interval(e.low, e.high),
                number(e.unbiased),
            ]
            for e in report.estimates
        ]
        return table(["metric", "view", "value", end, "unbiased"], rows)
    rows = []
    for a, b, c in zip(report.estimates, report.after, report.change, strict=True):
        best = c.value if c.unbiased is None else c.unbiased
        rows.append(
            [
                a.name,
                a.view or "-",
                number(a.value) or f"not available: {a.missing}",
                interval(a.low, a.high),
                number(b.value),
                signed(best),
                interval(c.low, c.high, sign=True),
            ]
        )
    return table(["metric", "view", "value", end, "after", "change", end], rows)


def _fix(subject: FileSummary) -> list[str]:
    if subject.fix is None:
        return [escape(subject.no_fix), ""]
    lines = [f"After: {escape(subject.fix.title)}, {subject.fix.how}.", ""]
    found = subject.selection
    if found is None or len(found.candidates) <= 2:
        return lines
    titles, rows = selection_cells(found, wide=False)
    rows = [[f"**{c}**" if r[0] == found.chosen and c else c for c in r] for r in rows]
    lines += [*table(titles, rows), "", f"Chosen: {escape(found.why)}", ""]
    failed = [one for one in found.candidates if one.failed]
    return lines + [
        part for one in failed for part in (f"Not fitted: {one.method}: {escape(one.failed)}", "")
    ]


def _classes(found: Classes) -> list[str]:
    rows = [
        [
            _word(one.predicted.name),
            f"{one.labelled:,}",
            f"{one.predicted.rows:,}",
            *_gap(one.predicted),
            share(one.recall),
            number(one.ece),
        ]
        for one in found.rows[:MOST]
    ]
    titles = ["class", "labelled", "predicted", "confidence", "accuracy", "gap", "interval"]
    head = "Classes, by the rows they are predicted in, the widest gaps first"
    if found.total > MOST:
        head += f" ({MOST} of {found.total:,})"
    return [f"{head}:", "", *table([*titles, "found", "ECE"], rows, links=True), ""]


def _slices(found: Slices) -> list[str]:
    rows = []
    for group in found.groups:
        error = group.errors[0] if group.errors else None
        ends = interval(error.low, error.high) if error else ""
        value = number(error.value) if error else ""
        rows.append([_word(group.name), f"{group.rows:,}", *_gap(group), value, ends])
    titles = [found.column, "rows", "confidence", "accuracy", "gap", "interval", "ECE", "of ECE"]
    head = f"Slices by {_word(found.column)}: {found.note}".rstrip(": ")
    return [f"{head}:", "", *table([_word(titles[0]), *titles[1:]], rows, links=True), ""]


def _gap(group: Group) -> list[str]:
    ends = group.gap_interval or (None, None)
    return [
        *(share(group.score), share(group.outcome)),
        *(signed(group.gap), interval(*ends, sign=True)),
    ]


def _comparison(page: Page) -> list[str]:
    """What each file says, their metrics side by side, and their differences."""
    subjects = page.subjects
    lines = [f"- **{_word(s.name)}**: {escape(s.verdict)}" for s in subjects]
    names = [_word(s.name) for s in subjects]
    rows = [
        [same[0].name, same[0].view or "-"]
        + [f"{number(e.value) or e.missing} {interval(e.low, e.high)}".rstrip() for e in same]
        for same in zip(*(s.report.estimates for s in subjects), strict=True)
    ]
    lines += ["", *table(["metric", "view", *names], rows), ""]
    found = page.comparison
    if found is None or not found.changes:
        return lines + ([_word(found.unpaired), ""] if found is not None else [])
    titles = [f"minus {names[0]}", "view"]
    titles += [part for name, _ in found.changes for part in (_word(name), "interval")]
    return [*lines, *table(titles, _differences([c for _, c in found.changes])), ""]


def _differences(changes: Sequence[Sequence[Estimate]]) -> list[list[str]]:
    rows = []
    for same in zip(*changes, strict=True):
        cells = [same[0].name, same[0].view or "-"]
        for one in same:
            best = one.value if one.unbiased is None else one.unbiased
            cells += [signed(best) or one.missing, interval(one.low, one.high, sign=True)]
        rows.append(cells)
    return rows


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
