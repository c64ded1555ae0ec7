"""Sections of a page about one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calibtool.diagrams.curve import Curve
from calibtool.evaluation.wording import leading
from calibtool.formatting import capitalized, interval, number, share
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.registry import METRICS
from calibtool.metrics.spec import parse
from calibtool.reports.evaluation import in_words
from calibtool.reports.page import advice, clinical, figures, tables
from calibtool.reports.page.advice import Advice
from calibtool.reports.page.markup import Markup, element
from calibtool.reports.page.model import Classes, FileSummary, Page, Slices
from calibtool.reports.selection import remarks

CORRECTED = (
    "Before and after are corrected for bias, so that the change is their difference; the plain "
    "values are in the table of metrics."
)
# beginnings of a verdict that says neither good nor bad are not among them
SIGNS = {
    **dict.fromkeys(("Overconfident", "Underconfident", "Miscalibrated", "Class 1 is"), "bad"),
    "No miscalibration": "good",
}
POINTING = (
    "Point at a mark of a diagram, or go there with Tab and the arrow keys, to read its numbers."
)


def about(page: Page, subject: FileSummary, *, told: bool) -> list[Markup]:
    """Return every section, the verdict first; with `told`, the first that has diagrams says
    how to read their numbers."""
    estimates = subject.report.estimates
    clinical_ = subject.clinical
    return [
        _verdict(page, subject),
        *(
            [_section("Clinical use", *clinical.about(page, subject, pointing(said=told)))]
            if clinical_
            else []
        ),
        _section("Metrics", *_metrics(page, subject)),
        _section("Diagrams", *_diagrams(page, subject, told=told and not clinical_)),
        _section("Before and after", *_fix(page, subject)),
        *([_section("Classes", *_classes(subject.classes, page))] if subject.classes else []),
        *(
            _section(f"Slices by {s.column}", *_slices(s, _axes(subject), page))
            for s in subject.slices
        ),
        _section("Data checks", *_checks(subject)),
        _section("How each number was computed", _signatures(estimates)),
    ]


def _verdict(page: Page, subject: FileSummary) -> Markup:
    """Return the verdict in words, what to do, how sure it is, and the numbers behind it."""
    starts = ((subject.named(start), sign) for start, sign in SIGNS.items())
    sign = next((sign for start, sign in starts if subject.verdict.startswith(start)), "")
    report = subject.report
    error = leading(report.estimates)
    facts = []
    if report.said is not None and report.was is not None:
        names = ("says", "is right") if _top(subject) else _named(subject, "P(class 1)", "class 1")
        facts += [(names[0], share(report.said), ""), (names[1], share(report.was), "")]
    if error is not None:
        facts.append(_fact(error.name, error))
        after = next((e for e in report.after if e.name == error.name), None)
        if after is not None and subject.fix is not None:
            facts.append(_fact(f"{error.name} after {advice.title(subject)}", after))
    shown = [
        element(
            "div",
            element("dt", name),
            element("dd", value, " ", element("small", ends) if ends else None),
        )
        for name, value, ends in facts
    ]
    verdict = subject.verdict or "No calibration error was measured."
    lines = [element("p", _tied(verdict), class_="lead")]
    lines.append(answers(advice.about_file(page, subject), capitalized(subject.effect)))
    lines += [element("p", f"Note: {note}", class_="note") for note in report.notes]
    lines += [element("p", f"Warning: {w}", class_="warning") for w in report.warnings]
    numbers = element("dl", *shown, class_="figures")
    return element("section", *lines, numbers, class_=f"verdict {sign}".rstrip())


def answers(given: Advice, effect: str = "") -> Markup:
    """Return what to do and how sure the verdict is, as a list of two entries."""
    action = [element("p", _tied(given.action))]
    if given.command:
        action.append(element("p", element("code", given.command)))
    if effect:
        action.append(element("p", _tied(effect), class_="note"))
    entries = (("What to do", action), ("How sure", element("p", _tied(given.certainty))))
    rows = [element("div", element("dt", name), element("dd", said)) for name, said in entries]
    return element("dl", *rows, class_="answers")


def _fact(name: str, error: Estimate) -> tuple[str, str, str]:
    """Return what the head of the page shows of an error: its corrected estimate and interval."""
    title = name if error.best == error.value else f"{name}, corrected"
    return title, number(error.best), interval(error.low, error.high)


def _metrics(page: Page, subject: FileSummary) -> list[Markup]:
    note = (
        "Value is what papers print. Of a calibration error it is too high on average; corrected "
        "is the estimate without this bias, and the interval is of the true value."
    )
    return [tables.metrics(subject.estimates, page.level), element("p", note, class_="note")]


def _diagrams(page: Page, subject: FileSummary, *, told: bool) -> list[Markup]:
    drawn = [
        reliability(page, subject, curve, subject.curves, capitalized(curve.label))
        for curve in subject.curves
    ]
    report = subject.report
    if _top(subject) and report.said is not None and report.was is not None:
        dotted = (
            f"each as shares of its own rows; dotted: accuracy {share(report.was)}, mean "
            f"confidence {share(report.said)}"
        )
        title = element("strong", "Confidence of right and wrong predictions")
        panel = figures.confidence(subject.confidence, report.said, report.was)
        drawn.append(element("figure", element("figcaption", title, dotted), panel))
    drawn.append(
        element(
            "figure",
            element(
                "figcaption",
                element("strong", "Errors among the most confident"),
                "dashed: best possible ranking",
            ),
            figures.risk(subject.risk),
        )
    )
    legend = (
        "Each point is a bin, at its mean score and mean outcome, with its interval; it is filled "
        "where the interval excludes the diagonal. Grey: where a perfect model's point would "
        "lie. Bars: the share of rows, on a log scale where most are in one bin."
    )
    return [*pointing(said=told), _row(drawn), element("p", legend, class_="note")]


def _row(drawn: Sequence[Markup]) -> Markup:
    """Return figures side by side; on paper, the last two of four stand in one column."""
    return element("div", *drawn, class_="figures-row four" if len(drawn) == 4 else "figures-row")


def pointing(*, said: bool) -> list[Markup]:
    """Return how to read the numbers of diagrams, which a page says once."""
    return [element("p", POINTING, class_="note pointing")] if said else []


def reliability(
    page: Page, subject: FileSummary, curve: Curve, beside: Sequence[Curve], title: str
) -> Markup:
    """Return the reliability diagram of a curve, with those beside it on one scale, and its
    numbers."""
    error = curve.estimates[0] if curve.estimates else None
    caption = f"{error.name} {in_words(error)}" if error else ""
    return element(
        "figure",
        element("figcaption", element("strong", title), " ", caption),
        figures.reliability(curve, beside, _axes(subject, figures.LONGEST), title),
        _details(
            "The numbers of this diagram",
            tables.bins(curve, _axes(subject), page.level),
            class_="bins",
        ),
    )


def _fix(page: Page, subject: FileSummary) -> list[Markup]:
    report = subject.report
    if subject.fix is None:
        return [element("p", subject.no_fix)]
    parts = []
    if subject.selection is not None and len(subject.selection.candidates) > 2:
        selection = subject.selection
        failed = [candidate for candidate in selection.candidates if candidate.failed]
        parts += [
            element("p", f"Calibrators tried, {selection.how}, the best first."),
            tables.tried(selection),
            *(
                element("p", f"Not fitted: {candidate.method}: {candidate.failed}", class_="note")
                for candidate in failed
            ),
            *(element("p", note.text, class_="note") for note in remarks(selection)),
            element("p", f"Chosen: {selection.why}"),
        ]
    parts += [
        element("p", f"{capitalized(subject.fix.title)}, {subject.fix.how}."),
        tables.changes(report.estimates, report.after, report.change, page.level),
        element("p", CORRECTED, class_="note"),
    ]
    return parts


def _classes(classes: Classes, page: Page) -> list[Markup]:
    shown = tuple(row for row in classes.rows if row.labelled or row.predicted.rows)
    predicted = classes.predicted
    columns = (
        "Rows by their predicted class. Gap is confidence minus accuracy: above 0, the model is "
        "overconfident when it predicts this class. Sorted by the gap beyond chance: how far the "
        "interval lies from 0. Recall is the share of the class's own rows that are predicted as "
        "this class; ECE is that of the class against all others."
    )
    count = (
        f"{classes.off:,} of {predicted:,} predicted classes have a gap whose interval excludes 0; "
        f"by chance alone it would be about {(1 - (page.level or 0.95)) * predicted:.2g}."
    )
    if len(classes.rows) < classes.total:
        count += f" Listed are the {len(classes.rows):,} with the widest gaps beyond chance."
    absent = len(classes.rows) - len(shown)
    if absent:
        count += f" Not listed: {absent:,} of the classes, which are neither a label nor predicted."
    return [
        element("p", columns),
        tables.classes(replace(classes, rows=shown), page.level),
        element("p", count, class_="note"),
    ]


def _slices(slices: Slices, names: tuple[str, str], page: Page) -> list[Markup]:
    off = sum(group.off for group in slices.groups)
    count = f"{off} of {len(slices.groups)} groups have a gap whose interval excludes 0."
    note = element("p", f"{count} {slices.note}".rstrip(), class_="note")
    worst = [element("p", slices.worst)] if slices.worst else []
    return [*worst, tables.slices(slices, names, page.level), note]


def _checks(subject: FileSummary) -> list[Markup]:
    if not subject.checks:
        return [element("p", "No problems found.")]
    return [element("ul", *(element("li", capitalized(check)) for check in subject.checks))]


def _signatures(estimates: Sequence[Estimate]) -> Markup:
    items = []
    for estimate in estimates:
        metric = METRICS[parse(estimate.name).metric.name]
        source = f" ({metric.source})" if metric.source else ""
        said = element(
            "dd",
            f"{metric.title}: {metric.definition}{source}",
            element("br"),
            element("code", estimate.signature.replace("|", " | ")),
        )
        items.append(element("div", element("dt", estimate.name), said))
    return _details("Definitions and signatures", element("dl", *items, class_="signatures"))


def _section(title: str, *children: Markup) -> Markup:
    return element("section", element("h2", title), *children)


def _details(title: str, *children: Markup, class_: str | None = None) -> Markup:
    return element("details", element("summary", title), *children, class_=class_)


def _view(subject: FileSummary) -> str:
    return subject.report.bias.view if subject.report.bias else "top"


def _axes(subject: FileSummary, longest: int | None = None) -> tuple[str, str]:
    """Return what score and outcome are called, in the names of the classes."""
    return _named(subject, *figures.NAMES[_view(subject)], longest=longest)


def _named(
    subject: FileSummary, first: str, second: str, longest: int | None = None
) -> tuple[str, str]:
    return subject.named(first, longest), subject.named(second, longest)


def _top(subject: FileSummary) -> bool:
    return _view(subject) == "top"


def _tied(text: str) -> str:
    """Return text in which a number stays on the line of its unit or relation."""
    for sign in (" %", " = ", " < "):
        text = text.replace(sign, sign.replace(" ", "\N{NO-BREAK SPACE}"))
    return text
