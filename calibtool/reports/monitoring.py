"""The table of calibration over time."""

from __future__ import annotations

from dataclasses import asdict

from calibtool.analysis.monitoring.period import Monitoring, PeriodResult
from calibtool.analysis.monitoring.wording import e_text
from calibtool.formatting import interval, number, percent
from calibtool.reports.table import Table


def table(monitoring: Monitoring, width: int | None) -> Table:
    """Return a row per period: its scores, its error and the evidence so far."""
    return Table(
        kind="calibtool-monitor",
        head=monitoring.describe(),
        titles=_titles(monitoring),
        cells=[_cells(monitoring, period) for period in monitoring.periods],
        records=[_record(period) for period in monitoring.periods],
        key="periods",
        notes=[
            *_star(monitoring),
            *(f"Note: {note}." for note in monitoring.notes),
            monitoring.reading,
        ],
        body=_body(monitoring),
        tones={
            (row, None): "alarm" for row, period in enumerate(monitoring.periods) if period.alarm
        },
    )


def _titles(monitoring: Monitoring) -> list[str]:
    # "confidence" and "accuracy" would make the table wider than 80 columns
    score, outcome = ("said", "right") if monitoring.view == "top" else ("score", "outcome")
    every = monitoring.every
    period = every if every in ("day", "week", "month", "file") else "period"
    ends = [] if monitoring.level is None else [percent(monitoring.level)]
    return [period, "rows", score, outcome, "ece", *ends, "e"]


def _cells(monitoring: Monitoring, period: PeriodResult) -> list[str]:
    ends = [] if monitoring.level is None else [interval(period.ece.low, period.ece.high)]
    # e-values span hundreds of orders of magnitude; bounds keep the column narrow
    e = "<0.01" if period.log10_e < -2 else e_text(period.log10_e)
    e = ">1e+99" if period.log10_e >= 100 else e
    return [
        *(period.name, _rows(period.rows), number(period.said), number(period.was)),
        *(number(period.ece.value), *ends, f"{e} {'*' if period.alarm else ' '}"),
    ]


def _rows(count: int) -> str:
    return f"{count:,}" if count < 1e6 else f"{count / 1e6:,.2f}M"


def _star(monitoring: Monitoring) -> list[str]:
    """Return what the stars mean, if there are any."""
    alarms = any(period.alarm for period in monitoring.periods)
    return [f"* alarm: e has reached {1 / monitoring.alpha:g}."] if alarms else []


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
        "ece_corrected": ece.corrected,
        "log10_e": period.log10_e,
        "alarm": period.alarm,
    }


def _body(monitoring: Monitoring) -> dict[str, object]:
    names = [period.name for period in monitoring.periods]
    change = None
    if monitoring.changed is not None:
        period, low, high = (names[k] for k in monitoring.changed)
        change = {"period": period, "earliest": low, "latest": high}
    return {
        "source": monitoring.source,
        "every": monitoring.every,
        "kind": monitoring.kind,
        "view": monitoring.view,
        "rows": monitoring.rows,
        "against": monitoring.against,
        "alpha": monitoring.alpha,
        "level": monitoring.level,
        "alarm": None if monitoring.alarmed is None else names[monitoring.alarmed],
        "largest_log10_e": monitoring.most,
        "change": change,
        "scores": [asdict(part) for part in monitoring.parts],
        "notes": list(monitoring.notes),
        "reading": monitoring.reading,
    }
