"""CSV: a line a metric (and a system), nothing rounded."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from io import StringIO

from calibtool.analysis.selection import Candidate, Selection
from calibtool.evaluation.report import Report
from calibtool.gate.outcome import Outcome
from calibtool.intervals.estimate import Estimate

_COLUMNS = [field.name for field in fields(Estimate)]


def report(found: Report) -> str:
    """Lines of `system` (before, after, change; empty without a calibrator) and the estimate."""
    systems = {"": found.estimates}
    if found.after:
        systems = {"before": found.estimates, "after": found.after, "change": found.change}
    rows = [
        {"system": system, **asdict(estimate)}
        for system, estimates in systems.items()
        for estimate in estimates
    ]
    return write(["system", *_COLUMNS], rows)


def outcome(found: Outcome) -> str:
    """A line a requirement, and a line a slice of those that have slices."""
    rows = [
        {
            "requirement": verdict.requirement.text,
            "slice": held.name,
            "verdict": held.decision,
            "margin": held.margin,
            "why": held.why,
            "detectable": held.detectable,
            "rows": held.rows,
            "needed": held.needed,
            **asdict(held.estimate),
        }
        for verdict in found.verdicts
        for held in verdict.slices or (verdict.held,)
    ]
    own = ["requirement", "slice", "verdict", "margin", "why", "detectable", "rows", "needed"]
    return write([*own, *_COLUMNS], rows)


def selection(found: Selection) -> str:
    """A line a candidate, the best first."""
    columns = ["chosen", *(field.name for field in fields(Candidate))]
    rows = [{"chosen": one.method == found.chosen, **asdict(one)} for one in found.candidates]
    return write(columns, rows)


def write(columns: list[str], rows: Sequence[Mapping[str, object]]) -> str:
    """Lines under a head."""
    out = StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
