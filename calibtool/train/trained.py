"""The result of a run: test metrics before and after temperature scaling, and their table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from calibtool.calibrators.calibrator import Calibrator
from calibtool.data.predictions import Predictions
from calibtool.evaluation.report import Report
from calibtool.formatting import percent
from calibtool.intervals.estimate import Estimate
from calibtool.reports.evaluation import numbers
from calibtool.reports.render import render
from calibtool.reports.table import Table

METRICS = "accuracy,nll,ece,ada-ece,classwise-ece,mce"  # tables 1 to 4 of Mukhoti et al. 2020


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished run.

    Attributes:
        out: its folder.
        report: estimates of the test rows, before and after the calibrator.
        about: model, loss, numbers of rows etc., for JSON and the head of the table.
        notes: sentences for the reader of the report.
        calibrator: the one fitted on validation rows, a temperature in runs of `calibtool train`;
            None if there is none, such as no finite temperature.
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
        """The temperature, or None if there is no finite one, or another calibrator."""
        if self.calibrator is None or self.calibrator.method != "temperature":
            return None
        temperature: float = self.calibrator.parameters()["temperature"]
        return temperature

    def __str__(self) -> str:
        return render(listing(self), "table").rstrip("\n")

    def _repr_html_(self) -> str:
        return render(listing(self), "html")


def listing(trained: Trained) -> Table:
    """Return the table of a run."""
    report = trained.report
    before = [as_error(estimate) for estimate in report.estimates]
    after = [as_error(estimate) for estimate in report.after or ()]
    titles = ["metric", "view", "value", "corrected", f"{percent(report.level)} interval"]
    rows = [[one.name, one.view or "-", *numbers(one)] for one in before]
    records = [{"name": one.name, "view": one.view, **_record(one)} for one in before]
    if after:
        titles.insert(2, "when")
        records = [
            {**record, **_record(one, "_after")} for record, one in zip(records, after, strict=True)
        ]
        rows = [
            row
            for (name, view, *values), one in zip(rows, after, strict=True)
            for row in ([name, view, "before", *values], ["", "", "after", *numbers(one)])
        ]
    about = trained.about
    known = [str(about[key]) for key in ("model", "loss") if key in about]  # not of other loops
    if epochs := about.get("epochs_trained"):
        best = f", best {about['best_epoch']}" if about.get("best_epoch") else ""
        known.append(f"{epochs} epochs{best}")
    data = report.data
    below = [text for text in (_after(trained), report.reading, *trained.notes) if text]
    return Table(
        "calibtool-training",
        f"{', '.join(known)}; {data.rows:,} test rows, {data.classes:,} classes",
        titles,
        rows,
        records,
        "metrics",
        below,
        {
            "training": about,
            "temperature": trained.temperature,
            **_other_calibrator(trained),
            "notes": list(trained.notes),
        },
        left=("view", "when"),
    )


def _other_calibrator(trained: Trained) -> dict[str, str]:
    """Return the calibrator for JSON if it is another than the temperature."""
    if trained.calibrator is None or trained.temperature is not None:
        return {}
    return {"calibrator": trained.calibrator.describe()}


def _after(trained: Trained) -> str:
    if trained.calibrator is None:
        return ""
    what = trained.calibrator.describe()
    if trained.temperature is not None:
        what = f"temperature scaling, T = {trained.temperature:.4f}"
    return f"After: {what}, fitted on {trained.about['val_rows']:,} validation rows."


def as_error(estimate: Estimate) -> Estimate:
    """Return an estimate; for the accuracy, that of the error."""
    if estimate.name != "accuracy":
        return estimate
    value, corrected, low, high = (
        None if x is None else 1 - x
        for x in (estimate.value, estimate.corrected, estimate.high, estimate.low)
    )
    return replace(
        estimate, name="error", value=value, corrected=corrected, low=low, high=high, better="lower"
    )


def _record(error: Estimate, end: str = "") -> dict[str, Any]:
    return {f"{key}{end}": getattr(error, key) for key in ("value", "corrected", "low", "high")}
