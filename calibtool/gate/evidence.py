"""Requirements on evidence over time: "e(change) < 20"."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.analysis.monitoring.monitor import monitor_periods
from calibtool.analysis.monitoring.period import Monitoring
from calibtool.analysis.monitoring.read import Periods
from calibtool.data.predictions import DataInfo
from calibtool.errors import UsageError
from calibtool.evaluation.report import Report
from calibtool.gate.outcome import Check, Decision, Verdict
from calibtool.gate.requirement import EVIDENCE, Requirement
from calibtool.intervals.estimate import Estimate

_LARGEST = 300.0  # decimal logarithm of an e-value, so that it stays a number


def evidence_verdicts(wanted: Sequence[Requirement], periods: Periods | None) -> list[Verdict]:
    """Hold the largest e-value that any period has reached to each threshold."""
    if not wanted:
        return []
    if periods is None:
        raise UsageError(
            f"{wanted[0].text}: evidence is of periods; say what a period is with --every day, "
            "week, month, file or a column"
        )
    return [_verdict(requirement, periods) for requirement in wanted]


def evidence_report(verdicts: Sequence[Verdict], periods: Periods) -> Report:
    """What was read, where nothing but evidence is required."""
    rows = sum(int(period.cells.total) for period in periods.periods)
    kind = periods.periods[0].kind
    reading = " ".join(dict.fromkeys(verdict.held.why for verdict in verdicts))
    return Report(DataInfo(periods.source, rows, None, kind), (), level=None, reading=reading)


def _verdict(requirement: Requirement, periods: Periods) -> Verdict:
    against = EVIDENCE[requirement.evidence]
    found = monitor_periods(periods, against=against, alpha=1 / requirement.threshold, ci="none")
    value = 10 ** min(found.most, _LARGEST)
    blind = against == "first" and len(found.periods) == 1
    decision: Decision = "pass" if requirement.met(value) else "fail"
    estimate = Estimate(
        requirement.subject,
        value,
        view=found.view,
        signature=f"{requirement.subject}|view:{found.view}|every:{found.every}"
        f"|periods:{len(found.periods)}",
    )
    margin = requirement.threshold - value
    held = Check(
        estimate, "inconclusive" if blind else decision, margin, _why(found), rows=found.rows
    )
    return Verdict(requirement, held)


def _why(found: Monitoring) -> str:
    return found.reading.rstrip(".")
