"""Requirements on evidence over time: "e(change) < 20"."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.analysis.monitoring.monitor import monitor_periods
from calibtool.analysis.monitoring.read import Periods
from calibtool.data.predictions import DataInfo
from calibtool.errors import UsageError
from calibtool.evaluation.report import Report
from calibtool.evaluation.resampling import Resampling
from calibtool.gate.outcome import Check, Decision, Verdict
from calibtool.gate.requirement import EVIDENCE, Requirement
from calibtool.intervals.estimate import Estimate

_LARGEST = 300.0  # decimal logarithm of the largest e-value shown; 10**309 is not a float


def evidence_verdicts(
    requirements: Sequence[Requirement], periods: Periods | None
) -> list[Verdict]:
    """Check the largest e-value that any period has reached against each threshold."""
    if not requirements:
        return []
    if periods is None:
        raise UsageError(
            f"{requirements[0].text}: evidence over time needs periods; give --every day, week, "
            "month, file or a column"
        )
    return [_verdict(requirement, periods) for requirement in requirements]


def evidence_report(verdicts: Sequence[Verdict], periods: Periods) -> Report:
    """Return the report of an outcome in which only evidence over time is required."""
    rows = sum(int(period.cells.total) for period in periods.periods)
    kind = periods.periods[0].kind
    reading = " ".join(dict.fromkeys(verdict.held.why for verdict in verdicts))
    return Report(DataInfo(periods.source, rows, None, kind), (), level=None, reading=reading)


def _verdict(requirement: Requirement, periods: Periods) -> Verdict:
    against = EVIDENCE[requirement.evidence]
    monitoring = monitor_periods(
        periods,
        against=against,
        alpha=1 / requirement.threshold,
        resampling=Resampling(ci="none"),
    )
    value = 10 ** min(monitoring.most, _LARGEST)
    undecided = against == "first" and len(monitoring.periods) == 1  # nothing to compare with yet
    decision: Decision = "pass" if requirement.met(value) else "fail"
    estimate = Estimate(
        requirement.subject,
        value,
        view=monitoring.view,
        signature=f"{requirement.subject}|view:{monitoring.view}|every:{monitoring.every}"
        f"|periods:{len(monitoring.periods)}",
    )
    margin = requirement.threshold - value
    check = Check(
        estimate,
        "inconclusive" if undecided else decision,
        margin,
        monitoring.reading.rstrip("."),
        rows=monitoring.rows,
    )
    return Verdict(requirement, check)
