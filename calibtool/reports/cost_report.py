"""The table of what decisions cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from calibtool.decisions.cost_report import Cost, CostReport
from calibtool.formatting import interval, number, share
from calibtool.reports import json
from calibtool.reports.table import Table


def table(report: CostReport, width: int | None) -> Table:
    """Return a row per rule, and what the better ones save."""
    after = f", after {report.calibrator}" if report.calibrator else ""
    return Table(
        kind="calibtool-costs",
        head=f"{report.data.describe()}{after}",
        titles=("decided by", "cost per row", "95 % interval", "to a person", "normalized"),
        cells=[
            [c.rule, number(c.value), interval(c.low, c.high), share(c.rejected), _normalized(c)]
            for c in report.costs
        ],
        records=[asdict(cost) for cost in report.costs],
        key="",
        notes=[
            f"Costs of {report.source}. {_scale(report)}",
            *(
                f"Saved {gain.rule}: {number(gain.value)} "
                f"{interval(gain.low, gain.high, sign=True)} per row."
                for gain in report.gains
            ),
            *report.notes,
        ],
        body=_body(report),
        left=("decided by",),
        wraps=("decided by",),
    )


def _scale(report: CostReport) -> str:
    return (
        "Normalized: as a share of the best decision that is the same for all rows, "
        f"{report.constant}; above 1, nothing is gained by looking."
    )


def _normalized(cost: Cost) -> str:
    return "" if cost.normalized is None else number(cost.normalized, 3)


def _body(report: CostReport) -> dict[str, Any]:
    return {
        "data": asdict(report.data),
        "source": report.source,
        "costs": [_finite(cost) for cost in report.costs],
        "gains": [_finite(gain) for gain in report.gains],
        "constant": report.constant,
        "calibrator": report.calibrator or None,
        "notes": list(report.notes),
    }


def _finite(cost: Cost) -> dict[str, Any]:
    return {name: json.finite(value) for name, value in asdict(cost).items()}
