"""Training progress: epoch, loss, validation NLL and ECE."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli.progress import is_quiet, shown

if TYPE_CHECKING:
    from calibtool.train.loop import Watch
    from calibtool.types import Progress


class Live:
    """The bar of all commands, over all trainings of a run or a sweep."""

    def __init__(self, progress: Progress, trainings: int) -> None:
        self.progress, self.trainings = progress, trainings
        self.begun = 0
        self.validation = ""

    def start(self, title: str, epochs: int) -> None:
        """Begin a training."""
        self.title, self.epochs, self.validation = title, epochs, ""
        self.begun += 1

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Show a step."""
        self._tell(epoch, step / steps, f"loss {loss:.4f}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Show a measured epoch."""
        self.validation = f"  val NLL {row['val_nll']:.4f} ECE {row['val_ece']:.4f}"
        self._tell(row["epoch"] - 1, 1.0, f"loss {row['train_loss']:.4f}")

    def _tell(self, epoch: int, share: float, loss: str) -> None:
        where = f"epoch {epoch + 1}/{self.epochs}"
        if self.trainings > 1:
            where = f"{self.title}, {where}"
        done = self.begun - 1 + (epoch + share) / self.epochs
        self.progress(f"{where}  {loss}{self.validation}", done / max(self.trainings, self.begun))


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
def watching(trainings: int) -> Iterator[Watch | None]:
    """Yield a display on a terminal and lines elsewhere, in the first process; otherwise None.

    `trainings` is how many there will be.
    """
    if not is_first_process() or sys.stderr is None or is_quiet():
        yield None
    elif sys.stderr.isatty():
        with shown() as progress:
            yield Live(progress, trainings)
    else:
        yield Lines()
