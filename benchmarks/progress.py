"""How true the shares are that progress tells, on rows that are made here.

    taskset -c 0 python benchmarks/progress.py              the commands below
    taskset -c 0 python benchmarks/progress.py "COMMAND"    a command of your own

Prints, per command, how far the share that was told last lies from the share of the time that has
passed, in points of per cent: the mean over 99 moments, and the largest. Time is processor time of
one core, so that other work on the machine does not count.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from calibtool import parallel
from calibtool.cli import main, progress

COMMANDS = (
    "evaluate a.npz --metrics all",
    "evaluate b.npz --metrics all",
    "select b.npz",
    "plot gain b.npz -o gain.png",
    "test a.npz",
    "slices c.npz",
)


def write(name: str, rows: int, classes: int, **more: Any) -> None:
    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(rows, classes)).astype(np.float32)
    labels = rng.integers(0, classes, rows)
    logits[np.arange(rows), labels] += 2
    np.savez(name, logits=logits, labels=labels, **more)


class Record:
    """The time and the share of every call, and how long the work took in all."""

    told: list[tuple[float, float]]
    took: float

    @contextlib.contextmanager
    def shown(self) -> Iterator[Any]:
        self.told, began = [], time.process_time()
        yield lambda stage, share: self.told.append((time.process_time() - began, share))
        self.took = time.process_time() - began


RECORD = Record()


def report(command: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main.main(shlex.split(command))
    told, took = RECORD.told, RECORD.took
    off, unknown = [], 0
    for percent in range(1, 100):
        last = [share for at, share in told if at <= took * percent / 100]
        if last and not math.isnan(last[-1]):
            off.append(abs(100 * min(last[-1], 0.99) - percent))
        else:
            unknown += 1
    mean, most = (sum(off) / len(off), max(off)) if off else (math.nan, math.nan)
    print(f"{command:32} {took:6.1f} s  {mean:5.1f}  {most:5.1f}  unknown {unknown} %", flush=True)


def run() -> None:
    parallel.clock = time.process_time
    progress.shown = RECORD.shown  # before a command imports it
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(here if sys.argv[1:] else folder)
        if not sys.argv[1:]:
            rng = np.random.default_rng(1)
            write("a.npz", 100_000, 2)
            write("b.npz", 5_000, 100)
            write("c.npz", 60_000, 3, country=rng.choice(list("abcdefgh"), 60_000))
        for command in sys.argv[1:] or COMMANDS:
            report(command)
        os.chdir(here)


if __name__ == "__main__":
    run()
