"""The table of metrics that calibrated probabilities imply."""

from __future__ import annotations

from dataclasses import asdict

from calibtool.analysis.implied import Implied
from calibtool.formatting import interval, joined, number, percent
from calibtool.reports.table import Note, Table

ASSUMED = (
    "Assumed: the probabilities are calibrated on these rows. Rows without labels cannot show it; "
    "label some of them and run calibtool evaluate."
)


def table(implied: Implied, width: int | None) -> Table:
    """Return a row per metric."""
    labelled = any(one.measured is not None for one in implied.metrics)
    titles = ["metric", "implied", f"{percent(implied.level)} of measurements"]
    cells = [
        [one.name, number(one.value), interval(one.low, one.high), number(one.measured)]
        for one in implied.metrics
    ]
    notes = [Note(ASSUMED)]
    off = [one.name for one in implied.metrics if one.off]
    if off:
        notes.append(
            Note(
                f"By the labels of the file, {joined(off)} "
                f"{'lies' if len(off) == 1 else 'lie'} outside: the probabilities are not "
                "calibrated on these rows.",
                "warning",
            )
        )
    calibrated = f", {implied.calibrator}" if implied.calibrator else ""
    return Table(
        kind="calibtool-implied",
        head=implied.data.describe() + calibrated,
        titles=[*titles, "measured"] if labelled else titles,
        cells=cells if labelled else [line[:3] for line in cells],
        records=[asdict(one) for one in implied.metrics],
        key="metrics",
        notes=notes,
        body={
            "data": asdict(implied.data),
            "calibrator": implied.calibrator,
            "level": implied.level,
            "draws": implied.draws,
            "assumed": ASSUMED,
        },
    )
