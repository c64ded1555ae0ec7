"""What a run found: test metrics before and after temperature, and how they are shown."""

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

METRICS = "accuracy,nll,ece,ada-ece,classwise-ece,mce"  # the paper's tables 1 to 4


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished run.

    Attributes:
        out: its folder.
        report: of the test rows, before and after temperature.
        about: model, loss, rows and the like, for JSON and the head of the table.
        notes: what the reader should know.
        calibrator: the temperature fitted on validation rows; None where there is no finite one.
        val, test: predictions before it.
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
        """T."""
        return self.calibrator.parameters()["temperature"] if self.calibrator else None


def listing(found: Trained) -> Table:
    """The table of a run."""
    report = found.report
    level = f"{percent(report.level)} interval"
    pairs = list(zip(report.estimates, report.after or report.estimates, strict=True))
    both = found.temperature is not None
    titles = ["metric", "view", "before", level, *(["after", level] if both else [])]
    rows = [
        [
            *_named(before),
            *_cells(before),
            *(_cells(after) if both else []),
        ]
        for before, after in pairs
    ]
    about = found.about
    head = (
        f"{about['model']}, {about['loss']}, {_epochs(about)}; "
        f"{report.data.rows:,} test rows, {report.data.classes:,} classes"
    )
    fitted = (
        f"After: temperature scaling, T = {found.temperature:.4f}, fitted on "
        f"{about['val_rows']:,} validation rows."
        if both
        else ""
    )
    below = [text for text in (fitted, report.reading, *found.notes) if text]
    return Table(
        "calibtool-training",
        head,
        titles,
        rows,
        _records(pairs, both),
        "metrics",
        below,
        {"training": about, "temperature": found.temperature, "notes": list(found.notes)},
    )


def _epochs(about: dict[str, Any]) -> str:
    epochs = f"{about['epochs_trained']} epochs"
    return f"{epochs}, best {about['best_epoch']}" if about.get("best_epoch") else epochs


def _named(one: Estimate) -> list[str]:
    return ["error" if one.name == "accuracy" else one.name, one.view or "-"]


def _cells(one: Estimate) -> list[str]:
    value, low, high = as_error(one)
    return [number(value), interval(low, high)]


def as_error(one: Estimate) -> tuple[float | None, float | None, float | None]:
    """Value and interval; of the accuracy, those of the error."""
    if one.name != "accuracy" or one.value is None:
        return one.value, one.low, one.high
    ends = (None, None) if one.low is None or one.high is None else (1 - one.high, 1 - one.low)
    return 1 - one.value, *ends


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
