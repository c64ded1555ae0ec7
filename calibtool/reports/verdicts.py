"""The table of a gate's outcome, and its verdicts in words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from calibtool.formatting import interval, number, percent, signed
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
            row += [signed(verdict.held.margin), reason(verdict)]
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
        left=("view", "verdict"),
        wraps=("required",),
        findings=[_finding(outcome, verdict) for verdict in outcome.verdicts],
        summary=summary(outcome),
    )


def _notes(outcome: Outcome, *, whole: bool) -> list[Note]:
    """Return the reasons, or what the columns do not say of them, warnings, and the summary."""
    why = [Note("\n".join(below(outcome)))]
    if whole:
        why = [Note(f"{v.requirement.text}: {v.note}.") for v in outcome.verdicts if v.note]
    return [
        *why,
        *(Note(f"Warning: {warning}", "warning") for warning in outcome.report.warnings),
        Note(basis(outcome), "quiet"),
        Note(summary(outcome), TONES[outcome.decision]),
    ]


def head(found: Outcome) -> str:
    """What was read, and what was made of it."""
    calibrated = f", after {found.report.calibrator}" if found.report.calibrator else ""
    return f"{found.report.data.describe()}{calibrated}"


def power(found: Outcome) -> str:
    """What the gate could have found; "" in mode point."""
    named = [text for text in map(_found, found.verdicts) if text]
    if not named:
        return ""
    rows = f"{found.report.data.rows:,} rows"
    return f"With 80 % power, {rows} find a true {', '.join(dict.fromkeys(named))}."


def _found(verdict: Verdict) -> str:
    """What so many rows find; of slices, in any of them, the smallest too."""
    held = verdict.slices or (verdict.held,)
    known = [one.detectable for one in held if one.detectable is not None]
    if not known:
        return ""
    wanted = verdict.requirement
    far = f"above {number(max(known))}" if wanted.upper else f"below {number(min(known))}"
    return f"{wanted.subject} {far}{f' in any slice by {wanted.by}' if wanted.by else ''}"


def _titles(outcome: Outcome) -> list[str]:
    level = outcome.report.level
    ends = [] if level is None else [f"{percent(level)} interval"]
    return ["required", "view", "measured", *ends, "verdict"]


def _cells(outcome: Outcome, verdict: Verdict) -> list[str]:
    ends = [ends_of(verdict)] if outcome.report.level is not None else []
    word = WORDS[verdict.decision]
    if outcome.counts_as(verdict) != verdict.decision:
        word = f"{word}: {WORDS[outcome.counts_as(verdict)]}"
    view = verdict.estimate.view or "-"
    return [verdict.requirement.text, view, measured(verdict), *ends, word]


def measured(verdict: Verdict) -> str:
    """The number that was held to the threshold."""
    one = verdict.estimate
    if verdict.requirement.delta:
        return signed(one.value if one.unbiased is None else one.unbiased)
    return number(one.value)


def ends_of(verdict: Verdict) -> str:
    """Its interval."""
    return interval(verdict.estimate.low, verdict.estimate.high, sign=verdict.requirement.delta)


def why(verdict: Verdict) -> str:
    """A verdict in a sentence."""
    return f"{reason(verdict)} (margin {signed(verdict.held.margin)})"


def reason(verdict: Verdict) -> str:
    """What decided."""
    held = verdict.held
    where = f"{verdict.requirement.by} {held.name} ({held.rows:,} rows): " if held.name else ""
    text = f"{where}{held.why}"
    if held.needed:
        text += f"; about {held.needed:,} rows would decide it"
    return text


def below(found: Outcome) -> list[str]:
    """What is said below the table."""
    lines = [f"{v.requirement.text}: {why(v)}." for v in found.verdicts]
    for verdict in found.verdicts:
        lines += [f"  {_slice(verdict, held)}" for held in _to_name(verdict)]
    lines += [f"{v.requirement.text}: {v.note}." for v in found.verdicts if v.note]
    return [line.replace("..", ".") for line in lines]


def summary(found: Outcome) -> str:
    """The last line."""
    total = len(found.verdicts)
    counted = [found.counts_as(verdict) for verdict in found.verdicts]
    failed, unclear = counted.count("fail"), counted.count("inconclusive")
    if failed:
        more = f"; {unclear} inconclusive" if unclear else ""
        return f"Failed: {failed} of {total} requirements not met{more}."
    if unclear:
        return f"Inconclusive: {unclear} of {total} requirements could not be decided."
    return f"Passed: {total} of {total} requirements met."


def basis(found: Outcome) -> str:
    """How it was decided."""
    if all(verdict.requirement.evidence for verdict in found.verdicts):
        ever = sum(1 / verdict.requirement.threshold for verdict in found.verdicts)
        return (
            "Evidence over time: checked after every period, for as long as you like, a model that "
            f"keeps to it ever fails with probability {ever:.2g} at most."
        )
    if found.alpha is None:
        return "Mode point: the measured values decide, however few rows they rest on."
    share = f"{100 * found.alpha:g} %"
    if found.mode == "prove":
        return f"Mode prove: a model exactly at a threshold passes it in {share} of data sets."
    return f"Mode tolerate: a model exactly at a threshold fails it in {share} of data sets."


def message(verdict: Verdict) -> str:
    """A verdict in a line that stands alone."""
    ends = ends_of(verdict)
    text = f"{measured(verdict)} {ends}".strip()
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
        message=message(verdict),
        source=source,
        file=file,
        line=line,
    )


def _to_name(verdict: Verdict) -> list[Check]:
    """The slices that did not pass, but for the one that the table shows."""
    return [held for held in verdict.slices[1:] if held.decision != "pass"][:MOST_SLICES]


def _slice(verdict: Verdict, held: Check) -> str:
    one = held.estimate
    text = f"{number(one.value)} {interval(one.low, one.high)}".strip()
    return (
        f"{verdict.requirement.by} {held.name} ({held.rows:,} rows): {text}, {WORDS[held.decision]}"
    )


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
        "measured": json.estimate(check.estimate),
        "level": check.level,
        "verdict": check.decision,
        "margin": json.finite(check.margin),
        "why": check.why,
        "detectable": check.detectable,
        "rows_needed": check.needed,
    }
