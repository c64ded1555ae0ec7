"""The result of a run: test metrics before and after temperature scaling, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calibtool.calibrators.calibrator import Calibrator
from calibtool.data.predictions import Predictions
from calibtool.evaluation.report import Report
from calibtool.formatting import interval, number, percent
from calibtool.intervals.estimate import Estimate
from calibtool.reports.table import Table

METRICS = "accuracy,nll,ece,ada-ece,classwise-ece,mce"  # tables 1 to 4 of Mukhoti et al. 2020


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished run.

    Attributes:
        out: its folder.
        report: estimates of the test rows, before and after temperature scaling.
        about: model, loss, numbers of rows etc., for JSON and the head of the table.
        notes: sentences for the reader of the report.
        calibrator: the temperature fitted on validation rows; None if there is no finite one.
        val, test: predictions before temperature scaling.
    """

    out: str
    report: Report
    about: dict[str, Any]
    notes: tuple[str, ...]
    calibrator: Calibrator | None
    val: Predictions
    test: Predictions

    @property
    def temperature(self) -> float | None:
        """The temperature, or None if there is no finite one."""
        return self.calibrator.parameters()["temperature"] if self.calibrator else None


def listing(trained: Trained) -> Table:
    """Return the table of a run."""
    report = trained.report
    level = f"{percent(report.level)} interval"
    pairs = list(zip(report.estimates, report.after or report.estimates, strict=True))
    both = trained.temperature is not None
    titles = ["metric", "view", "before", level, *(["after", level] if both else [])]
    rows = [
        [
            *_named(before),
            *_cells(before),
            *(_cells(after) if both else []),
        ]
        for before, after in pairs
    ]
    about = trained.about
    head = (
        f"{about['model']}, {about['loss']}, {_epochs(about)}; "
        f"{report.data.rows:,} test rows, {report.data.classes:,} classes"
    )
    fitted = (
        f"After: temperature scaling, T = {trained.temperature:.4f}, fitted on "
        f"{about['val_rows']:,} validation rows."
        if both
        else ""
    )
    below = [text for text in (fitted, report.reading, *trained.notes) if text]
    return Table(
        "calibtool-training",
        head,
        titles,
        rows,
        _records(pairs, both),
        "metrics",
        below,
        {"training": about, "temperature": trained.temperature, "notes": list(trained.notes)},
    )


def _epochs(about: dict[str, Any]) -> str:
    epochs = f"{about['epochs_trained']} epochs"
    return f"{epochs}, best {about['best_epoch']}" if about.get("best_epoch") else epochs


def _named(estimate: Estimate) -> list[str]:
    name = "error" if estimate.name == "accuracy" else estimate.name
    return [name, estimate.view or "-"]


def _cells(estimate: Estimate) -> list[str]:
    value, low, high = as_error(estimate)
    return [number(value), interval(low, high)]


def as_error(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    """Return value, low and high of an estimate; for the accuracy, those of the error."""
    value, low, high = estimate.value, estimate.low, estimate.high
    if estimate.name != "accuracy" or value is None:
        return value, low, high
    ends = (None, None) if low is None or high is None else (1 - high, 1 - low)
    return 1 - value, *ends


def _records(pairs: Sequence[tuple[Estimate, Estimate]], both: bool) -> list[dict[str, Any]]:
    keys = ("value", "low", "high")
    return [
        {
            "name": _named(before)[0],
            "view": before.view,
            **dict(zip(keys, as_error(before), strict=True)),
            **(
                {f"{k}_after": v for k, v in zip(keys, as_error(after), strict=True)}
                if both
                else {}
            ),
        }
        for before, after in pairs
    ]
