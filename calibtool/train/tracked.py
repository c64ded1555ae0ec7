"""A run of training in an experiment tracker: every epoch, and the test rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibtool.reports.render import render
from calibtool.reports.trackers import Tracker, tracking
from calibtool.reports.tracking import of_estimate
from calibtool.train.loop import Silent, Watch
from calibtool.train.settings import Settings
from calibtool.train.trained import Trained, as_error, listing


class Tracked:
    """The observer that logs epochs, and shows them to another observer."""

    def __init__(self, run: Tracker, settings: Settings, shown: Watch) -> None:
        self.run, self.settings, self.shown = run, settings, shown

    def start(self, title: str, epochs: int) -> None:
        """Log the settings."""
        self.shown.start(title, epochs)
        values = asdict(self.settings).items()
        self.run.describe({key: value for key, value in values if value is not None})

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Show a step."""
        self.shown.step(epoch, step, steps, loss)

    def epoch(self, row: dict[str, Any]) -> None:
        """Log a measured epoch."""
        self.shown.epoch(row)
        numbers = {key: value for key, value in row.items() if key != "epoch"}
        self.run.log(numbers, step=row["epoch"])

    def finish(self, trained: Trained) -> None:
        """Log the test metrics before and after the calibrator, and the report."""
        numbers: dict[str, float] = {}
        report = trained.report
        for prefix, estimates in (("test", report.estimates), ("calibrated", report.after or ())):
            for estimate in map(as_error, estimates):
                numbers |= of_estimate(f"{prefix}.{estimate.name}", estimate)
        if trained.temperature is not None:
            numbers["temperature"] = trained.temperature
        self.run.log(numbers)
        table = listing(trained)
        self.run.keep(
            {"report.md": render(table, "markdown"), "report.json": render(table, "json")}
        )


@contextmanager
def tracked(name: str, settings: Settings, shown: Watch | None) -> Iterator[Tracked]:
    """Yield the observer that logs to a tracker; see `tracking`."""
    with tracking(name, "--log", "train", Path(settings.out)) as run:
        yield Tracked(run, settings, shown or Silent())
