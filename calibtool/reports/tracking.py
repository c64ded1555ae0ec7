"""A gate's outcome in an experiment tracker."""

from __future__ import annotations

import re

from calibtool.errors import UsageError
from calibtool.gate.outcome import Outcome
from calibtool.intervals.estimate import Estimate
from calibtool.reports.render import render
from calibtool.reports.trackers import tracking

LOGS = ("mlflow", "wandb")  # the trackers of outcomes


def log(tracker: str, outcome: Outcome, picture: str = "") -> None:
    """Log an outcome: metrics, corrected for bias too, with the ends of their intervals, and as
    artifacts the table, the JSON document and a reliability diagram as text.

    Args:
        tracker: "mlflow" or "wandb".
        picture: the diagram, logged as reliability.txt; "" for none.

    Raises UsageError for another tracker or without its client, CalibtoolError if it cannot log.
    """
    if tracker not in LOGS:
        raise UsageError(f"--log-to must be one of {', '.join(LOGS)} (got {tracker!r})")
    with tracking(tracker, "--log-to", "check") as run:
        run.log(numbers(outcome))
        run.tag({"decision": outcome.decision, "mode": outcome.mode})
        run.keep(artifacts(outcome, picture))


def numbers(outcome: Outcome) -> dict[str, float]:
    """Return what is logged as metrics, by names that trackers allow."""
    report = outcome.report
    logged: dict[str, float] = {}
    for estimate in report.after or report.estimates:
        logged |= of_estimate(estimate.name, estimate)
    for verdict in outcome.verdicts:
        if verdict.requirement.subject not in {e.name for e in report.estimates}:
            logged |= of_estimate(verdict.requirement.subject, verdict.estimate)
        logged[f"margin.{_name(verdict.requirement.text)}"] = verdict.held.margin
    return logged | {"passed": float(outcome.passed)}


def artifacts(outcome: Outcome, picture: str) -> dict[str, str]:
    """Return the texts that are logged as files, by name."""
    files = {
        "outcome.json": render(outcome, "json"),
        "outcome.md": render(outcome, "markdown"),
    }
    return files | ({"reliability.txt": picture} if picture else {})


def of_estimate(name: str, estimate: Estimate) -> dict[str, float]:
    """Return the value of an estimate, corrected for bias too, and the ends of its interval."""
    parts = ("", estimate.value), (".corrected", estimate.corrected)
    ends = (".low", estimate.low), (".high", estimate.high)
    return {f"{_name(name)}{part}": x for part, x in (*parts, *ends) if x is not None}


def _name(text: str) -> str:
    """Return a name of letters, digits, points, dashes and underscores; "<=" becomes "max".

    >>> _name("ece(bins=20) <= 0.03")
    'ece_bins_20_max_0.03'
    """
    for relation, word in (("<=", "max"), (">=", "min"), ("<", "below"), (">", "above")):
        text = text.replace(relation, word)
    return re.sub(r"[^\w.-]+", "_", text).strip("_")
