"""The table of a gate's outcome, and its verdicts in words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from calibtool.analysis.monitoring.wording import highest_of
from calibtool.formatting import (
    DEFAULT_LEVEL,
    Lines,
    interval,
    joined,
    margin_of,
    number,
    percent,
    signed,
)
from calibtool.gate.outcome import Check, Outcome, Verdict
from calibtool.reports import evaluation, json
from calibtool.reports.table import Finding, Note, Table, Tone

WORDS = {"pass": "passed", "fail": "FAILED", "inconclusive": "inconclusive"}
TONES: dict[str, Tone] = {"pass": "good", "fail": "bad", "inconclusive": "unclear"}
FIELDS = ("requirement", "slice", "verdict", "margin", "why", "detectable", "rows", "needed")
MOST_SLICES = 10  # named below a table; --format json has all


def table(outcome: Outcome, width: int | None) -> Table:
    """Return a row per requirement: what was measured, its verdict, and why.

    On a terminal the reasons stand below the table; where the width has no limit, in its columns.
    """
    whole = width is None
    titles = _titles(outcome)
    cells = [_cells(outcome, verdict) for verdict in outcome.verdicts]
    tones: dict[tuple[int, int | None], Tone] = {
        (row, len(titles) - 1): TONES[outcome.counts_as(verdict)]
        for row, verdict in enumerate(outcome.verdicts)
    }
    if whole:
        titles = [*titles, "margin", "why"]
        for row, verdict in zip(cells, outcome.verdicts, strict=True):
            row += [_margin(verdict)[1], reason(verdict)]
    return Table(
        kind="calibtool-check",
        head=head(outcome),
        titles=titles,
        cells=cells,
        records=_records(outcome),
        key="",
        notes=_notes(outcome, whole=whole),
        body=_body(outcome),
        tones=tones,
        lead=[text for text in [power(outcome)] if text],
        columns=(*FIELDS, *evaluation.FIELDS),
        left=("view", "verdict", "why"),
        wraps=("required",),
        findings=[_finding(outcome, verdict) for verdict in outcome.verdicts],
        summary=summary(outcome),
    )


def _notes(outcome: Outcome, *, whole: bool) -> list[Note]:
    """Return the reasons, warnings, what the mode guarantees, and the summary.

    Where the table has columns for the reasons (`whole`), only the notes of verdicts are repeated.
    """
    reasons = [Note(Lines.of(below(outcome)))]
    if whole:
        reasons = [Note(f"{v.requirement.text}: {v.note}.") for v in outcome.verdicts if v.note]
    return [
        *reasons,
        *evaluation.remarks(outcome.report),
        *(Note(text, "quiet") for text in [written(outcome)] if text),
        Note(basis(outcome), "quiet"),
        Note(summary(outcome), TONES[outcome.decision]),
    ]


def head(outcome: Outcome) -> str:
    """Return the data, and the calibrator that was applied, in a line."""
    calibrated = f", after {outcome.report.calibrator}" if outcome.report.calibrator else ""
    return f"{outcome.report.data.describe()}{calibrated}"


def power(outcome: Outcome) -> str:
    """Return the smallest violations that this many rows would detect; "" in mode point."""
    known = [text for text in map(_detectable, outcome.verdicts) if text]
    if not known:
        return ""
    violations = ", ".join(dict.fromkeys(known))
    rows = f"{outcome.report.data.rows:,} rows"
    return f"{rows} would detect a true {violations} (80 % power)."


def _detectable(verdict: Verdict) -> str:
    """Return the smallest violation that would be detected: with slices, in every one of them."""
    checks = verdict.slices or (verdict.held,)
    known = [check.detectable for check in checks if check.detectable is not None]
    if not known:
        return ""
    requirement = verdict.requirement
    bound = f"above {number(max(known))}" if requirement.upper else f"below {number(min(known))}"
    where = f" in any slice by {requirement.by}" if requirement.by else ""
    return f"{requirement.subject} {bound}{where}"


def _titles(outcome: Outcome) -> list[str]:
    levels = _levels(outcome)
    ends = []
    if levels:
        ends = ["corrected", f"{percent(levels[0])} interval"]
    if len(levels) > 1:  # slices have higher levels, each its own
        ends = ["corrected", "interval", "level"]
    return ["required", "view", "value", *ends, "verdict"]


def _levels(outcome: Outcome) -> list[float]:
    """Return the levels of the intervals in the table; none of a report without intervals."""
    if outcome.report.level is None:
        return []
    shown = [v.held for v in outcome.verdicts if v.held.estimate.low is not None]
    return sorted({_level(outcome, check) for check in shown}) or [outcome.report.level]


def _level(outcome: Outcome, check: Check) -> float:
    """Return the level of a check's interval, which Holm's correction may have raised, such as
    99.17 %."""
    return round(check.level or outcome.report.level or DEFAULT_LEVEL, 4)


def _cells(outcome: Outcome, verdict: Verdict) -> list[str]:
    levels = _levels(outcome)
    value, corrected, interval_ = _numbers(verdict)
    ends = [corrected, interval_] if levels else []
    if len(levels) > 1:
        ends.append(percent(_level(outcome, verdict.held)) if interval_ else "")
    word = WORDS[verdict.decision]
    if outcome.counts_as(verdict) != verdict.decision:
        word = f"{word}: {WORDS[outcome.counts_as(verdict)]}"
    view = verdict.estimate.view or "-"
    return [verdict.requirement.text, view, value, *ends, word]


def _numbers(verdict: Verdict) -> tuple[str, str, str]:
    """Return value, corrected estimate and interval, with signs if they are of a difference."""
    digits, _ = _margin(verdict)
    estimate = verdict.estimate
    if beyond := _beyond(verdict):
        return f"> {beyond}", "", ""
    if not verdict.requirement.delta:
        return evaluation.numbers(estimate, digits)
    ends = interval(estimate.low, estimate.high, sign=True, digits=digits)
    return signed(estimate.value, digits), signed(estimate.corrected, digits), ends


def _judged(verdict: Verdict) -> float:
    """Return the number that is compared with the threshold: of a difference, the corrected one."""
    estimate = verdict.estimate
    judged = estimate.best if verdict.requirement.delta else estimate.value
    assert judged is not None
    return judged


def _margin(verdict: Verdict) -> tuple[int, str]:
    """Return the decimals with which that number reads on its side of the threshold, and how far it
    is within it, as both are printed."""
    requirement = verdict.requirement
    if beyond := _beyond(verdict):
        return 0, f"< -{beyond}"
    return margin_of(_judged(verdict), requirement.threshold, upper=requirement.upper)


def _beyond(verdict: Verdict) -> str:
    """Return the largest e-value that is shown, where evidence over time is larger; else ""."""
    if not verdict.requirement.evidence:
        return ""
    highest = highest_of(1 / verdict.requirement.threshold)
    return f"1e{highest}" if _judged(verdict) > 10.0**highest else ""


def why(verdict: Verdict) -> str:
    """Return a verdict's reason and its margin."""
    return f"{reason(verdict)} (margin {_margin(verdict)[1]})"


def reason(verdict: Verdict) -> str:
    """Return what decided a verdict, and how many rows would decide an inconclusive one."""
    check = verdict.held
    where = f"{verdict.requirement.by} {check.name} ({check.rows:,} rows): " if check.name else ""
    text = f"{where}{check.why}"
    if check.needed:
        text += f"; about {check.needed:,} rows would decide it"
    return text


def below(outcome: Outcome) -> list[str]:
    """Return the reasons that stand below the table on a terminal."""
    lines = [f"{v.requirement.text}: {why(v)}." for v in outcome.verdicts]
    for verdict in outcome.verdicts:
        lines += [f"  {_slice(outcome, verdict, check)}" for check in _to_name(verdict)]
    lines += [f"{v.requirement.text}: {v.note}." for v in outcome.verdicts if v.note]
    return [line.replace("..", ".") for line in lines]


def summary(outcome: Outcome) -> str:
    """Return the outcome in one line."""
    total = len(outcome.verdicts)
    counted = [outcome.counts_as(verdict) for verdict in outcome.verdicts]
    failed, unclear = counted.count("fail"), counted.count("inconclusive")
    if failed:
        more = f"; {unclear} inconclusive" if unclear else ""
        return f"Failed: {failed} of {total} requirements not met{more}."
    if unclear:
        return f"Inconclusive: {unclear} of {total} requirements could not be decided."
    return f"Passed: {total} of {total} requirements met."


def written(outcome: Outcome) -> str:
    """Return which file the requirements are from; "" where all of them were typed."""
    places = [verdict.requirement.place for verdict in outcome.verdicts]
    files = dict.fromkeys(place[0] for place in places if place is not None)
    return f"Requirements of {joined(list(files))}." if files else ""


def basis(outcome: Outcome) -> str:
    """Return how often a mode decides wrongly."""
    if all(verdict.requirement.evidence for verdict in outcome.verdicts):
        ever = sum(1 / verdict.requirement.threshold for verdict in outcome.verdicts)
        return (
            "Evidence over time: however often it is checked, the probability that a model that "
            f"meets the requirement ever fails is at most {ever:.2g}."
        )
    if outcome.alpha is None:
        return "Mode point: the measured values decide, however few rows they rest on."
    share = f"{100 * outcome.alpha:g} %"
    if outcome.mode == "prove":
        return f"Mode prove: a model exactly at a threshold passes it in {share} of data sets."
    return f"Mode tolerate: a model exactly at a threshold fails it in {share} of data sets."


def message(outcome: Outcome, verdict: Verdict) -> str:
    """Return a verdict in a line that stands alone."""
    text = evaluation.in_line(*_numbers(verdict), _level(outcome, verdict.held))
    return f"{verdict.requirement.text} {WORDS[verdict.decision]}: measured {text}; {why(verdict)}"


def _finding(outcome: Outcome, verdict: Verdict) -> Finding:
    """Return a verdict where its requirement is written; else, where the predictions are."""
    source = outcome.report.data.source
    file, line = verdict.requirement.place or (source, 1)
    return Finding(
        name=verdict.requirement.text,
        subject=verdict.requirement.subject,
        decision=outcome.counts_as(verdict),
        word=WORDS[verdict.decision],
        message=message(outcome, verdict),
        source=source,
        file=file,
        line=line,
    )


def _to_name(verdict: Verdict) -> list[Check]:
    """Return the slices that did not pass, without the worst, which the table shows."""
    return [check for check in verdict.slices[1:] if check.decision != "pass"][:MOST_SLICES]


def _slice(outcome: Outcome, verdict: Verdict, check: Check) -> str:
    text = evaluation.in_words(check.estimate, _level(outcome, check))
    where = f"{verdict.requirement.by} {check.name} ({check.rows:,} rows)"
    return f"{where}: {text}, {WORDS[check.decision]}"


# ------------------------------------------------------------------ for machines


def _records(outcome: Outcome) -> list[dict[str, Any]]:
    """Return a record per requirement; of one with slices, a record per slice."""
    return [
        {
            "requirement": verdict.requirement.text,
            "slice": check.name,
            "verdict": check.decision,
            "margin": check.margin,
            "why": check.why,
            "detectable": check.detectable,
            "rows": check.rows,
            "needed": check.needed,
            **asdict(check.estimate),
        }
        for verdict in outcome.verdicts
        for check in verdict.slices or (verdict.held,)
    ]


def _body(outcome: Outcome) -> dict[str, Any]:
    return {
        "passed": outcome.passed,
        "decision": outcome.decision,
        "mode": outcome.mode,
        "inconclusive_counts_as": outcome.inconclusive or None,
        "alpha": outcome.alpha,
        "baseline": outcome.baseline or None,
        "requirements": [
            {
                "requirement": verdict.requirement.text,
                "subject": verdict.requirement.subject,
                "relation": verdict.requirement.relation,
                "threshold": verdict.requirement.threshold,
                "by": verdict.requirement.by or None,
                **_check(verdict.held),
                "slices": [_check(check) for check in verdict.slices],
                "note": verdict.note,
            }
            for verdict in outcome.verdicts
        ],
        "report": evaluation.body(outcome.report),
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "slice": check.name or None,
        "rows": check.rows,
        "measured": json.fields(check.estimate),
        "level": check.level,
        "verdict": check.decision,
        "margin": json.finite(check.margin),
        "why": check.why,
        "detectable": check.detectable,
        "rows_needed": check.needed,
    }
