"""Progress on standard error: one bar on a terminal, a line now and then elsewhere.

A callback notes what is being done; a thread shows it. So whatever takes long is said, also where
the work itself has not told anything for a while, and telling costs next to nothing.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from calibtool.types import Progress

PATIENCE = 1.0  # seconds before the bar appears: shorter work would only make it flicker
REFRESH = 0.2  # seconds between two looks at the bar
FIRST_LINE = 10.0  # seconds before the first line; the next comes when twice as long has passed
LONGEST_GAP = 300.0  # seconds between lines at most: some CI services end a job silent for 600
BAR = 12  # columns of the bar
BESIDE = 16  # columns of the percentage, the time and the gaps between
FEWEST = 20  # columns that a stage gets at least, cut if it is longer
_QUIET = "calibtool.quiet"  # key of click's context: whether --quiet was typed


def _hush(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[_QUIET] = value


quiet = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=_hush,
    envvar="CALIBTOOL_QUIET",
    help="Show no progress on standard error.",
)


class Now:
    """What is being done now; the callback."""

    def __init__(self) -> None:
        self.stage, self.share = "", math.nan

    def __call__(self, stage: str, share: float) -> None:
        """Note what is being done, and the share of the whole that is done."""
        self.stage, self.share = stage, share


class Face(Protocol):
    """A way to show what is being done."""

    def show(self, now: Now, passed: float) -> float:
        """Show it after so many seconds, and return after how many to call again."""
        ...

    def stop(self) -> None:
        """Take away what should not stay."""
        ...


class Lines:
    """Lines for a log: the first after FIRST_LINE seconds, and then ever more rarely."""

    def __init__(self) -> None:
        self.due = FIRST_LINE

    def show(self, now: Now, passed: float) -> float:
        """Print a line if one is due."""
        if passed >= self.due:
            self.due = passed + min(passed, LONGEST_GAP)
            with contextlib.suppress(OSError, ValueError):  # nobody reads standard error any more
                click.echo(line(now, passed), err=True)
        return self.due - passed

    def stop(self) -> None:
        """Lines stay."""


class Bar:
    """One bar after PATIENCE seconds, which is gone in the end."""

    def __init__(self) -> None:
        self.bar: Any = None

    def show(self, now: Now, passed: float) -> float:
        """Draw the bar."""
        if passed < PATIENCE:
            return PATIENCE - passed
        if self.bar is None:
            self.bar = _made()
            self.task = self.bar.add_task("", total=None, percent="", time="")
        known = not math.isnan(now.share)
        self.bar.update(
            self.task,
            description=_message(now.stage or "working"),
            total=1.0 if known else None,
            completed=min(now.share, 0.99) if known else 0.0,
            percent=percent(now.share),
            time=minutes(passed),
        )
        self.bar.start()  # once; not before there is something to show
        self.bar.refresh()
        return REFRESH

    def stop(self) -> None:
        """Clear the line, and show the cursor again."""
        if self.bar is not None:
            self.bar.stop()


def is_quiet() -> bool:
    """Return whether --quiet was typed."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


@contextmanager
def shown() -> Iterator[Progress]:
    """Provide a callback for work that may take long, and show what it is told.

    Nothing is shown with --quiet, nor where standard error is closed.
    """
    if sys.stderr is None or is_quiet():
        from calibtool.types import silent

        yield silent
        return
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    now, ended = Now(), Event()
    face: Face = Bar() if terminal else Lines()
    thread = Thread(target=_watch, args=(now, face, ended), name="progress", daemon=True)
    thread.start()
    try:
        yield now
    finally:
        ended.set()
        try:
            thread.join()
        finally:  # Ctrl-C once more
            face.stop()


@contextmanager
def in_steps_shown(first: str = "") -> Iterator[Progress]:
    """Do what `shown` does, for several steps whose costs beside each other nobody knows; `first`
    is what is done before one is told."""
    from calibtool.parallel import in_steps

    with shown() as progress:
        tell = in_steps(progress)
        tell(first, math.nan)
        yield tell


def _watch(now: Now, face: Face, ended: Event, clock: Callable[[], float] = time.monotonic) -> None:
    """Show what is being done until it has ended."""
    began = clock()
    delay = face.show(now, 0.0)
    while not ended.wait(delay):
        delay = face.show(now, clock() - began)


def line(now: Now, passed: float) -> str:
    """Return what is being done as a line of a log.

    >>> now = Now()
    >>> now("reading", 0.413)
    >>> line(now, 10.2)
    'calibtool: reading, 41 % done after 10 s'
    >>> now("fitting", math.nan)
    >>> line(now, 80.0)
    'calibtool: fitting, for 1:20 so far'
    """
    stage, share = _message(now.stage or "working"), percent(now.share)
    took = f"{passed:.0f} s" if passed < 60 else minutes(passed)
    said = f"{share} done after {took}" if share else f"for {took} so far"
    return f"calibtool: {stage}, {said}"


def percent(share: float) -> str:
    """Return a share in percent, which is 100 only of work that has ended; "" if it is not known.

    >>> percent(0.999), percent(1.0), percent(math.nan)
    ('99 %', '99 %', '')
    """
    return "" if math.isnan(share) else f"{min(int(100 * max(share, 0.0)), 99)} %"


def minutes(seconds: float) -> str:
    """Return a time as a clock shows it.

    >>> minutes(7.9), minutes(3725)
    ('0:07', '1:02:05')
    """
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    text = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{text}" if hours else text.removeprefix("0")


def _message(stage: str) -> str:
    from calibtool.cli.output import message

    return message(stage)


def _made() -> Any:
    """Return a bar that this module alone redraws."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    console = Console(stderr=True)
    stage = Column(
        no_wrap=True, overflow="ellipsis", max_width=max(console.width - BAR - BESIDE, FEWEST)
    )
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=stage),
        BarColumn(bar_width=BAR),
        TextColumn("{task.fields[percent]:>4}", markup=False),
        TextColumn("{task.fields[time]}", markup=False),
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,  # results are printed to where they belong
    )
