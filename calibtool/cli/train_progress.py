"""Training progress: epoch, loss, validation NLL and ECE, time left."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from calibtool.train.loop import Watch


class Live:
    """A bar over all steps of a run; the next run of a sweep starts a new one."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.task: Any = None
        self.validation = ""

    def start(self, title: str, epochs: int) -> None:
        """Begin a run."""
        self.stop()
        self.epochs, self.validation = epochs, ""
        self.task = self.bar.add_task(title, total=epochs, epoch="", metrics="")

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Show a step."""
        self.bar.update(
            self.task,
            completed=epoch + step / steps,
            epoch=f"epoch {epoch + 1}/{self.epochs}",
            metrics=f"loss {loss:.4f}{self.validation}",
        )

    def epoch(self, row: dict[str, Any]) -> None:
        """Show a measured epoch."""
        self.validation = f"  val NLL {row['val_nll']:.4f} ECE {row['val_ece']:.4f}"
        self.bar.update(self.task, metrics=f"loss {row['train_loss']:.4f}{self.validation}")

    def stop(self) -> None:
        """End the run."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None


class Lines:
    """A line per epoch on standard error, for logs."""

    def start(self, title: str, epochs: int) -> None:
        """Begin a run."""
        self.epochs = epochs
        click.echo(f"{title}, {epochs} epochs", err=True)

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Show nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Print a measured epoch."""
        click.echo(
            f"epoch {row['epoch']}/{self.epochs}  loss {row['train_loss']:.4f}  "
            f"val NLL {row['val_nll']:.4f} ECE {row['val_ece']:.4f}  {row['seconds']:.1f} s",
            err=True,
        )


def is_first_process() -> bool:
    """Return whether this is the process of torchrun that prints: the only one, or rank 0."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def watching() -> Iterator[Watch | None]:
    """Yield a display on a terminal and lines elsewhere, in the first process; otherwise None."""
    if not is_first_process() or sys.stderr is None or not sys.stderr.isatty():
        yield Lines() if is_first_process() and sys.stderr is not None else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[epoch]}  {task.fields[metrics]}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Live(bar)
