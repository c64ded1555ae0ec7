"""Training shown live on a terminal: where it is, the loss, validation NLL and ECE, time left."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calibtool.train.loop import Watch


class Live:
    """A bar of all steps of a run; begun anew for the next run of a sweep."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.task: Any = None
        self.said = ""

    def start(self, title: str, epochs: int) -> None:
        """A run begins."""
        self.stop()
        self.epochs, self.said = epochs, ""
        self.task = self.bar.add_task(title, total=epochs, epoch="", said="")

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A step is done."""
        place = f"epoch {epoch + 1}/{self.epochs}"
        self.bar.update(
            self.task,
            completed=epoch + step / steps,
            epoch=place,
            said=f"loss {loss:.4f}{self.said}",
        )

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is measured."""
        self.said = f"  val NLL {row['val_nll']:.4f} ECE {row['val_ece']:.4f}"
        self.bar.update(self.task, said=f"loss {row['train_loss']:.4f}{self.said}")

    def stop(self) -> None:
        """The run is over."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None


def is_first_process() -> bool:
    """Return whether this is the process of torchrun that prints: the only one, or rank 0."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def watching() -> Iterator[Watch | None]:
    """A display while standard error is a terminal; None, and silence, elsewhere."""
    if not is_first_process() or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[epoch]}  {task.fields[said]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Live(bar)
