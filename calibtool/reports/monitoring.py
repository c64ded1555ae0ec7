"""Calibration over time, in each format."""

from __future__ import annotations

from dataclasses import asdict

from calibtool.analysis.monitoring.period import Monitoring, PeriodResult
from calibtool.analysis.monitoring.wording import e_text
from calibtool.formatting import interval, number, percent
from calibtool.reports import table


def render(found: Monitoring, format_: str, *, width: int, colour: bool) -> str:
    """A line a period, and what it comes to."""
    made = table.Table(
        kind="calibtool-monitor",
        head=found.describe(),
        titles=_titles(found),
        cells=[_cells(found, period) for period in found.periods],
        records=[_record(period) for period in found.periods],
        key="periods",
        below=[*_star(found), *(f"Note: {note}." for note in found.notes), found.reading],
        body=_body(found),
        marked=frozenset(k for k, period in enumerate(found.periods) if period.alarm),
    )
    return table.render(made, format_, width=width, colour=colour)


def _titles(found: Monitoring) -> list[str]:
    said, was = ("said", "right") if found.view == "top" else ("score", "outcome")
    what = found.every if found.every in ("day", "week", "month", "file") else "period"
    ends = [] if found.level is None else [percent(found.level)]
    return [what, "rows", said, was, "ece", *ends, "e"]


def _cells(found: Monitoring, period: PeriodResult) -> list[str]:
    ends = [] if found.level is None else [interval(period.ece.low, period.ece.high)]
    e = "<0.01" if period.log10_e < -2 else e_text(period.log10_e)
    e = ">1e+99" if period.log10_e >= 100 else e  # a column that stays narrow
    return [
        *(period.name, _rows(period.rows), number(period.said), number(period.was)),
        *(number(period.ece.value), *ends, f"{e} {'*' if period.alarm else ' '}"),
    ]


def _rows(count: int) -> str:
    return f"{count:,}" if count < 1e6 else f"{count / 1e6:,.2f}M"


def _star(found: Monitoring) -> list[str]:
    """What the stars say."""
    some = any(period.alarm for period in found.periods)
    return [f"* alarm: e has reached {1 / found.alpha:g}."] if some else []


def _record(period: PeriodResult) -> dict[str, object]:
    bias, ece = period.bias, period.ece
    return {
        "period": period.name,
        "rows": period.rows,
        "said": period.said,
        "was": period.was,
        "bias": bias.value,
        "bias_low": bias.low,
        "bias_high": bias.high,
        "ece": ece.value,
        "ece_low": ece.low,
        "ece_high": ece.high,
        "ece_unbiased": ece.unbiased,
        "log10_e": period.log10_e,
        "alarm": period.alarm,
    }


def _body(found: Monitoring) -> dict[str, object]:
    """What JSON says besides."""
    names = [period.name for period in found.periods]
    change = None
    if found.changed is not None:
        at, low, high = (names[k] for k in found.changed)
        change = {"period": at, "earliest": low, "latest": high}
    return {
        "source": found.source,
        "every": found.every,
        "kind": found.kind,
        "view": found.view,
        "rows": found.rows,
        "against": found.against,
        "alpha": found.alpha,
        "level": found.level,
        "alarm": None if found.alarmed is None else names[found.alarmed],
        "largest_log10_e": found.most,
        "change": change,
        "scores": [asdict(part) for part in found.parts],
        "notes": list(found.notes),
        "reading": found.reading,
    }
