"""The table of calibration over time in every slice."""

from __future__ import annotations

from calibtool.analysis.monitoring.period import Monitoring
from calibtool.analysis.monitoring.slices import SliceMonitoring
from calibtool.analysis.monitoring.wording import highest_of, limit_text
from calibtool.formatting import number
from calibtool.reports import json, monitoring
from calibtool.reports.table import Table


def table(slices: SliceMonitoring, width: int | None) -> Table:
    """Return a row per slice: its mean score and outcome, its evidence, and what that needs."""
    first = slices.slices[0][1]
    every = monitoring.unit_of(first)
    score, outcome = monitoring.names_of(first.view)
    highest = max(highest_of(each.alpha) for _, each in slices.slices)
    return Table(
        kind="calibtool-monitor-slices",
        head=f"{slices.describe()}; by {slices.by.replace(',', ', ')}",
        titles=["slice", f"{every}s", "rows", score, outcome, "largest e", "needed", "alarm"],
        cells=[
            [
                *(name, f"{len(each.periods):,}", monitoring.rows_text(each.rows)),
                *(number(value) for value in _means(each)),
                *(monitoring.e_cell(each.most, highest), limit_text(each.alpha)),
                "" if each.alarmed is None else each.periods[each.alarmed].name,
            ]
            for name, each in slices.slices
        ],
        records=[
            {"slice": name, **monitoring.record(period), "needed": 1 / each.alpha}
            for name, each in slices.slices
            for period in each.periods
        ],
        key="",
        notes=[*(f"Note: {note}." for note in first.notes), slices.reading],
        body={
            "by": slices.by,
            "alpha": slices.alpha,
            "rows": slices.rows,
            "reading": slices.reading,
            "slices": [_document(name, each) for name, each in slices.slices],
        },
        tones={
            (row, None): "alarm"
            for row, (_, each) in enumerate(slices.slices)
            if each.alarmed is not None
        },
        wraps=["slice"],
    )


def _means(each: Monitoring) -> tuple[float, float]:
    """Return mean score and mean outcome of all rows of a slice."""
    score, outcome = (
        sum(period.rows * getattr(period, name) for period in each.periods) / each.rows
        for name in ("said", "was")
    )
    return score, outcome


def _document(name: str, each: Monitoring) -> dict[str, object]:
    """Return the JSON document of a slice, as that of all rows."""
    periods = [
        {key: json.finite(value) for key, value in monitoring.record(period).items()}
        for period in each.periods
    ]
    return {"slice": name, "needed": 1 / each.alpha, **monitoring.body(each), "periods": periods}
