"""One command in a forked child: what it printed, wrote and took."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from calibtool.cli.main import main
from fuzzing.archives import PICKLED
from fuzzing.kinds import Case
from fuzzing.seeds import GOOD

HANG = 10.0  # seconds of processor time that a command may take
BLOCKED = 40.0  # seconds by the clock, for a command that waits; other processes may slow it down
ADDRESSES = 4 << 30  # bytes of addresses, so that no case takes the machine down
TEXTS = {".csv", ".json", ".md", ".html", ".txt", ".toml", ".tsv", ".xml"}


class HangError(BaseException):
    """A command took too long; no `except Exception` of the command may catch it."""


@dataclass
class Outcome:
    """What a command did.

    Attributes:
        code: its exit code; None if it did not return.
        out: what it printed to standard output.
        err: what it printed to standard error.
        native: what libraries printed without Python.
        seconds: processor time.
        peak: bytes of memory.
        raised: the exception that got out, and where it was raised.
        trace: its traceback.
        wrote: the text files that it wrote.
        left: other traces: partial files, a changed input, an unpickled object.
    """

    code: int | None = None
    out: str = ""
    err: str = ""
    native: str = ""
    seconds: float = 0.0
    peak: int = 0
    raised: str = ""
    trace: str = ""
    wrote: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


class Workplace:
    """A folder of one child, in which its commands run, with a copy of the good files.

    The process that makes one has no other use: its standard output goes to a file, its memory is
    limited, its signals are handled.
    """

    def __init__(self, folder: Path, good: Path) -> None:
        self.good = good
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.chdir(folder)
        self._restore()
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, _too_long)
        signal.signal(signal.SIGPROF, _too_long)
        self.native = os.open(f"{folder}.native", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(self.native, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def run(self, case: Case) -> Outcome:
        """Run a command on its file, and tidy up."""
        if case.file:
            Path(case.file).write_bytes(case.data)
        outcome = Outcome()
        _reset_peak()
        began = time.process_time()
        with _captured(outcome), _limited(), warnings.catch_warnings():
            for kind in (RuntimeWarning, UserWarning, FutureWarning, SyntaxWarning):
                warnings.simplefilter("always", kind)
            np.random.seed(0)  # noqa: NPY002 - so that a case that draws from it can be repeated
            outcome.code = main(list(case.argv))
        outcome.seconds = time.process_time() - began
        outcome.peak = _peak()
        outcome.native = self._native()
        self._tidy(case, outcome)
        return outcome

    def _restore(self) -> None:
        shutil.rmtree(GOOD, ignore_errors=True)
        shutil.copytree(self.good, GOOD)  # with times, which states of runs remember
        self._stamps = _stamps(GOOD)

    def _native(self) -> str:
        size = os.lseek(self.native, 0, os.SEEK_END)
        if not size:
            return ""
        text = os.pread(self.native, 500, 0).decode("utf-8", "replace")
        os.ftruncate(self.native, 0)
        os.lseek(self.native, 0, os.SEEK_SET)
        return text

    def _tidy(self, case: Case, outcome: Outcome) -> None:
        """Collect what the command left in the folder, and remove it."""
        for entry in list(os.scandir(".")):
            path = Path(entry.name)
            if entry.name == GOOD:
                continue
            if entry.name == PICKLED:
                outcome.left.append("an object was unpickled")
            elif entry.name == case.file:
                if path.is_file() and path.read_bytes() != case.data and not _may_change(case):
                    outcome.left.append("the input was changed")
            elif ".part" in entry.name or entry.name.endswith(".tmp"):
                outcome.left.append(f"a partial file was left: {entry.name[:80]}")
            elif path.suffix in TEXTS and entry.is_file() and entry.stat().st_size < 1 << 22:
                outcome.wrote[entry.name] = path.read_text("utf-8", "replace")
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(path)
            else:
                path.unlink()
        if _stamps(GOOD) != self._stamps:
            self._restore()


def _may_change(case: Case) -> bool:
    """Return whether the file is a state, which the command keeps up to date, or one that it is
    told to write and does not read."""
    before = {flag for flag, word in pairwise(case.argv) if word == case.file}
    return "--state" in before or (bool(before) and before <= {"-o", "--output"})


def _stamps(folder: str) -> dict[str, tuple[int, int]]:
    """Return size and time of each file of a folder."""
    found = {}
    for entry in os.scandir(folder):
        stat = entry.stat()
        found[entry.name] = (stat.st_size, stat.st_mtime_ns)
    return found


@contextlib.contextmanager
def _captured(outcome: Outcome) -> Iterator[None]:
    """Catch whatever is printed and raised."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        yield
    except HangError:
        outcome.raised = "hang"
        outcome.trace = traceback.format_exc(limit=-12)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is a defect
        outcome.raised = f"{type(error).__name__} at {_place(error)}: {str(error)[:200]}"
        outcome.trace = traceback.format_exc(limit=-12)
    finally:
        for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        sys.stdout, sys.stderr = before
    outcome.out, outcome.err = (_text(stream) for stream in streams)


def _text(stream: io.TextIOWrapper) -> str:
    buffer: Any = stream.buffer
    return bytes(buffer.getvalue()).decode("utf-8", "replace")


def _place(error: BaseException) -> str:
    """Return the innermost function of calibtool in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/calibtool/" in frame.filename] or list(frames)
    return f"{Path(own[-1].filename).name}:{own[-1].name}" if own else "nowhere"


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, HANG)
    signal.setitimer(signal.ITIMER_REAL, BLOCKED)
    yield


def _too_long(number: int, frame: FrameType | None) -> None:
    raise HangError


def _reset_peak() -> None:
    """Let the kernel count the peak of memory from now on, where it can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the peak of memory in bytes."""
    with contextlib.suppress(OSError), Path("/proc/self/status").open() as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
