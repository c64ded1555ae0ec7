"""The table of calibration over time."""

from __future__ import annotations

from dataclasses import asdict

from calibtool.analysis.monitoring.period import Monitoring, PeriodResult
from calibtool.analysis.monitoring.wording import e_text, highest_of, limit_text
from calibtool.formatting import Lines, number, percent
from calibtool.reports import evaluation
from calibtool.reports.table import Table

WIDE = 92  # columns of a terminal that shows the plain ECE too


def table(monitoring: Monitoring, width: int | None) -> Table:
    """Return a row per period: its scores, its error and the evidence so far."""
    whole = width is None or width >= WIDE
    notes = [] if whole else evaluation.corrected_note(p.ece for p in monitoring.periods)
    return Table(
        kind="calibtool-monitor",
        head=monitoring.describe(),
        titles=_titles(monitoring, whole=whole),
        cells=[_cells(monitoring, period, whole=whole) for period in monitoring.periods],
        records=[record(period) for period in monitoring.periods],
        key="periods",
        notes=[
            *_star(monitoring),
            *notes,
            *(f"Note: {note}." for note in monitoring.notes),
            monitoring.reading,
        ],
        body=body(monitoring),
        tones={
            (row, None): "alarm" for row, period in enumerate(monitoring.periods) if period.alarm
        },
    )


def _titles(monitoring: Monitoring, *, whole: bool) -> list[str]:
    score, outcome = names_of(monitoring.view)
    if monitoring.view == "top" and monitoring.level is not None and not whole:
        score = Lines.of(["confi-", "dence"])  # more would make the table wider than 80 columns
    period = unit_of(monitoring)
    errors = ["ece"]
    if monitoring.level is not None:
        title = f"{percent(monitoring.level)} interval"
        errors = ["ece", "corrected", title] if whole else [Lines.of(["corrected", "ece"]), title]
    return [period, "rows", score, outcome, *errors, "e"]


def _cells(monitoring: Monitoring, period: PeriodResult, *, whole: bool) -> list[str]:
    errors = list(evaluation.numbers(period.ece))
    if monitoring.level is None:
        errors = errors[:1]
    elif not whole:  # one number alone is the one that lies in the interval
        errors = [number(period.ece.best), errors[-1]]
    e = e_cell(period.log10_e, highest_of(monitoring.alpha))
    return [
        *(period.name, rows_text(period.rows), number(period.said), number(period.was)),
        *(*errors, f"{e} {'*' if period.alarm else ' '}"),
    ]


def unit_of(monitoring: Monitoring) -> str:
    """Return what a period is called."""
    every = monitoring.every
    return every if every in ("day", "week", "month", "file") else "period"


def names_of(view: str) -> tuple[str, str]:
    """Return what score and outcome are called in a column, as in the diagrams."""
    return ("confidence", "accuracy") if view == "top" else ("score", "frequency")


def e_cell(log10_e: float, highest: int) -> str:
    """Return an e-value in a column, from its decimal logarithm.

    E-values span hundreds of orders of magnitude, of which few make a difference.
    """
    return "< 0.01" if log10_e < -2 else e_text(log10_e, highest)


def rows_text(count: int) -> str:
    """Return a number of rows in a column."""
    return f"{count:,}" if count < 1e6 else f"{count / 1e6:,.2f}M"


def _star(monitoring: Monitoring) -> list[str]:
    """Return what the stars mean, if there are any."""
    alarms = any(period.alarm for period in monitoring.periods)
    return [f"* alarm: e has reached {limit_text(monitoring.alpha)}."] if alarms else []


def record(period: PeriodResult) -> dict[str, object]:
    """Return the measurements of a period, nothing rounded."""
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


def body(monitoring: Monitoring) -> dict[str, object]:
    """Return the JSON document without its periods."""
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
