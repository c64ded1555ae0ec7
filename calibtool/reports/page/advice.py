"""Advice: what to do about the numbers of a page, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibtool.analysis.candidate import NOTHING
from calibtool.evaluation.report import Report
from calibtool.evaluation.resampling import FEW_ROWS
from calibtool.evaluation.wording import (
    harms,
    is_borderline,
    is_tested,
    is_visible,
    leading,
    missed,
    misses,
    misses_shortly,
    other_errors,
    p_text,
)
from calibtool.formatting import capitalized, changed, joined, number, percent
from calibtool.intervals.direction import direction
from calibtool.intervals.estimate import Estimate
from calibtool.reports.page.model import Comparison, FileSummary, Page
from calibtool.reports.page.tables import paired

SELECT = "calibtool select VALIDATION_FILE -o best.json"
SCORES = ("nll", "brier")  # by which models are preferred: proper scores, the first that is there


@dataclass(frozen=True)
class Advice:
    """What to do, and how sure the verdict is.

    Attributes:
        action: sentences.
        command: the command line that does it, or "".
        certainty: sentences.
    """

    action: str
    command: str
    certainty: str


def about_file(page: Page, subject: FileSummary) -> Advice:
    """Return the advice on one file."""
    action, command = _action(page, subject)
    if page.flags and command:
        words, _, rest = command.rpartition(" -o ")
        command = f"{words} {page.flags} -o {rest}"
    return Advice(action, command, " ".join(_certainty(subject)))


def _action(page: Page, subject: FileSummary) -> tuple[str, str]:
    """Return what to do about a file, and the command that does it."""
    report = subject.report
    lead = leading(report.estimates)
    if lead is None:
        return "Measure a calibration error, such as ece, before you decide.", ""
    if is_tested(lead) and lead.low is None:
        few = report.data.rows < FEW_ROWS
        with_ = "on more rows" if few else "with intervals"
        return f"Measure {with_} before you decide: these numbers can be chance.", ""
    off = _missed(report)
    wrong = is_visible(lead) if is_tested(lead) else _rejected(lead, report)
    wrong = wrong or bool(off)
    why = f"Recalibrate: {misses_shortly(off)}. " if off else ""
    if subject.fix is None:
        if wrong:
            start = "Do not use the probabilities as they are; look for a calibrator."
            return f"{why}{start} {subject.no_fix}", SELECT
        return _keep(lead, report), ""
    name = title(subject)
    harm = harms(report)
    chosen = subject.selection is None or subject.selection.chosen != NOTHING
    if chosen and not harm and _helps(report, lead, off, wrong=wrong):
        text, command = _apply(page, subject)
        return f"{why}{text}", command
    if not wrong and not harm:
        return _keep(lead, report), ""
    does = f"does not visibly correct {joined([e.name for e in off])}" if off else ""
    does = f"makes {joined(harm)}" if harm else does or f"does not visibly lower {lead.name}"
    if wrong:
        return f"{why}{capitalized(name)} {does}. Look for a calibrator that helps:", SELECT
    return f"{_keep(lead, report)} Do not apply {name}: it {does}.", ""


def _missed(report: Report) -> list[Estimate]:
    """Return the measures that miss their ideal where the calibration error does not show it."""
    lead = leading(report.estimates)
    seen = lead is not None and is_tested(lead) and is_visible(lead)
    return [] if seen else missed(report.estimates)


def _apply(page: Page, subject: FileSummary) -> tuple[str, str]:
    """Return that the calibrator helps, how to get it, and whether miscalibration is left."""
    after = leading(subject.report.after)
    seen = after is not None and is_tested(after) and is_visible(after)
    left = seen or bool(missed(subject.report.after))
    rest = " Some miscalibration is left: calibtool select may find a better one." if left else ""
    assert subject.fix is not None
    method = subject.fix.method
    if not method:
        file = page.calibrator_file or "CALIBRATOR.json"
        return f"Apply this calibrator.{rest}", f"calibtool apply {file} FILE -o calibrated.npz"
    text = f"Apply {title(subject)}; fit it on rows that are not used for testing.{rest}"
    return text, f"calibtool fit {method} VALIDATION_FILE -o {method}.json"


def _helps(report: Report, lead: Estimate, off: Sequence[Estimate], *, wrong: bool) -> bool:
    """Return whether what is wrong gets better beyond chance: the measures that miss their ideal,
    or the calibration error; where none is visible, a proper score."""
    names = [e.name for e in off] or [lead.name]
    return any(
        direction(before, after, change) == "better"
        or (before in off and _reaches(before, after, change))
        for before, after, change in zip(report.estimates, report.after, report.change, strict=True)
        if before.name in names or (not wrong and before.name.partition("(")[0] in SCORES)
    )


def _reaches(before: Estimate, after: Estimate, change: Estimate) -> bool:
    """Return whether a measure that missed its ideal moves towards it beyond chance, and misses it
    no more. How near either is may still be too uncertain to call it better."""
    if change.low is None or change.high is None or before.low is None or before.ideal is None:
        return False
    towards = change.low > 0 if before.low < before.ideal else change.high < 0
    return towards and not missed([after])


def _keep(lead: Estimate, report: Report) -> str:
    """Return that nothing has to be done."""
    if is_tested(lead) and (is_borderline(lead, report) or other_errors(report.estimates)):
        return "Measure on more rows before you correct anything."
    return "Use the probabilities as they are; nothing has to be corrected."


def _rejected(statistic: Estimate, report: Report) -> bool:
    """Return whether a test statistic rejects perfect calibration."""
    p = statistic.p_value
    return p is not None and p < 1 - (report.level or 0.95)


def _certainty(subject: FileSummary) -> list[str]:
    """Return how sure the verdict is and, with a calibrator, how sure its effect is."""
    report = subject.report
    lead = leading(report.estimates)
    if lead is None:
        return ["Unknown: no calibration error was measured."]
    n = f"n = {report.data.rows:,}"
    beyond = _beyond(report)
    if not is_tested(lead):
        if beyond:
            return beyond
        p = f" ({p_text(lead.p_value)}; {n})" if lead.p_value is not None else ""
        return [f"By the test {lead.name}{p}."]
    if lead.low is None or lead.high is None:
        few = report.data.rows < FEW_ROWS
        why = f"{report.data.rows} rows are too few for an interval"
        return [f"Not sure at all: {why if few else 'no interval was computed'}."]
    ends = f"the {percent(report.level)} interval of the true {lead.name}"
    span = f"{number(lead.low)} to {number(lead.high)}"
    p = f"{p_text(lead.p_value)}; {n}" if lead.p_value is not None else n
    unsure = f"By {lead.name} alone, not sure" if beyond else "Not sure"
    if is_visible(lead):
        said = [f"Sure: {ends}, {span}, excludes 0 ({p})."]
    elif is_borderline(lead, report):
        said = [f"{unsure}: {ends}, {span}, includes 0, but the test rejects 0 ({p})."]
    elif others := other_errors(report.estimates):
        said = [f"{unsure}: {ends}, {span}, includes 0, but {misses(others)} ({p})."]
    else:
        start = f"By {lead.name} alone, sure" if beyond else "Sure"
        said = [f"{start} only up to a size: {ends} is {span} ({p})."]
    return [*beyond, *said, *_effect(subject, lead)]


def _beyond(report: Report) -> list[str]:
    """Return how sure it is that measures miss their ideal, which the error does not show."""
    off = _missed(report)
    if not off:
        return []
    listed = sum(e.better == "nearer" and e.low is not None for e in report.estimates)
    chance = percent(1 - (report.level or 0.95))
    each = "Such an interval" if listed == 1 else f"Each of {listed} such intervals"
    said = f"{each} excludes the ideal of {chance} of calibrated models by chance"
    return [f"By their intervals, {misses(off)}. {said}."]


def _effect(subject: FileSummary, lead: Estimate) -> list[str]:
    """Return how sure the effect of the calibrator is."""
    after = leading(subject.report.after)
    change = next((c for c in subject.report.change if c.name == lead.name), None)
    if subject.fix is None or after is None or change is None or change.low is None:
        return []
    text = changed(lead.best, after.best, change.low, change.high)
    beyond = direction(lead, after, change)
    ends = f"{text.change} {text.interval}"
    sure = "is beyond chance" if beyond else "can be chance"
    return [f"The change by {title(subject)}, {ends}, {sure}."]


def about_comparison(page: Page) -> Advice | None:
    """Return which of several files is to be preferred; None for one file.

    A proper score decides: a calibration error alone can be lowered by predicting the same for
    every row.
    """
    comparison = page.comparison
    if comparison is None:
        return None
    if not comparison.changes:
        why = "Unknown: without paired differences, other rows alone can make the numbers differ."
        return Advice("Read each file by itself, below.", "", why)
    first = page.subjects[0]
    at = _deciding(comparison)
    if at is None:
        why = "No proper score of these files has an interval of its difference."
        return Advice("Compare a proper score, such as nll, before you choose.", "", why)
    name = first.report.estimates[at].name
    better, lines = [], []
    texts = paired(page.subjects, comparison, at)
    for subject, (other, changes), text in zip(
        page.subjects[1:], comparison.changes, texts, strict=True
    ):
        change = changes[at]
        way = direction(first.report.estimates[at], subject.report.estimates[at], change)
        sure = {"better": "lower", "worse": "higher"}.get(way, "which can be chance")
        lines.append(f"{other} minus {first.name} {text.change} {text.interval}, {sure}")
        if way == "better":
            better.append((change.best or 0.0, other))
    worse_or_same = f"Keep {first.name}: no other file has a visibly lower {name}."
    action = f"Prefer {min(better)[1]}: its {name} is lower." if better else worse_or_same
    how = f"{percent(page.level)} intervals of paired differences in {name}: {'; '.join(lines)}."
    return Advice(action, "", how)


def _deciding(comparison: Comparison) -> int | None:
    """Return the place of the score that decides among the metrics, or None."""
    _, changes = comparison.changes[0]
    known = [k for k, c in enumerate(changes) if c.low is not None]
    scores = (k for score in SCORES for k in known if changes[k].name.partition("(")[0] == score)
    return next(scores, None)


def title(subject: FileSummary) -> str:
    """Return the calibrator's title without its parameters."""
    return subject.fix.title.split(" (")[0] if subject.fix else ""
