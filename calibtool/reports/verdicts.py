"""What a gate decided, in words and cells that its formats share."""

from __future__ import annotations

from calibtool.formatting import interval, number, percent, signed
from calibtool.gate.outcome import Check, Outcome, Verdict

WORDS = {"pass": "passed", "fail": "FAILED", "inconclusive": "inconclusive"}
MOST_SLICES = 10  # that are listed below a table


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


def titles(found: Outcome) -> list[str]:
    """Titles of the table."""
    known = found.report.level is not None
    return ["required", "view", "measured", *([_level(found)] if known else []), "verdict"]


def cells(found: Outcome, verdict: Verdict) -> list[str]:
    """A line of the table."""
    one = verdict.estimate
    ends = [ends_of(verdict)] if found.report.level is not None else []
    word = WORDS[verdict.decision]
    if found.counts_as(verdict) != verdict.decision:
        word = f"{word}: {WORDS[found.counts_as(verdict)]}"
    return [verdict.requirement.text, one.view or "-", measured(verdict), *ends, word]


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


def place(found: Outcome, verdict: Verdict) -> tuple[str, int]:
    """Where a requirement is written; else the predictions."""
    return verdict.requirement.place or (found.report.data.source, 1)


def _level(found: Outcome) -> str:
    return f"{percent(found.report.level)} interval"


def _to_name(verdict: Verdict) -> list[Check]:
    """The slices that did not pass, but for the one that the table shows."""
    return [held for held in verdict.slices[1:] if held.decision != "pass"][:MOST_SLICES]


def _slice(verdict: Verdict, held: Check) -> str:
    one = held.estimate
    text = f"{number(one.value)} {interval(one.low, one.high)}".strip()
    return (
        f"{verdict.requirement.by} {held.name} ({held.rows:,} rows): {text}, {WORDS[held.decision]}"
    )
