"""Many cases in forked children, several at once; a child that dies takes one case with it."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.child import BLOCKED, Workplace
from fuzzing.judge import defect, signature
from fuzzing.kinds import Case, Kind, case
from fuzzing.seeds import GOOD

CHUNK = 200  # cases per child: enough that forking costs nothing, few enough to bound leaks
SILENT = 2 * BLOCKED  # seconds after which a child that hangs outside Python is killed


@dataclass(frozen=True)
class Found:
    """A defect: the number of the case, what is wrong, what was printed, the traceback."""

    number: int
    defect: str
    err: str = ""
    trace: str = ""

    @property
    def signature(self) -> str:
        return signature(self.defect)


@dataclass
class Tally:
    """What a run has come to.

    Attributes:
        kinds: cases per kind.
        codes: commands per exit code.
        found: defects by their signature.
        seconds: how long it took.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    found: dict[str, list[Found]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return sum(self.kinds.values())

    @property
    def defects(self) -> int:
        return sum(map(len, self.found.values()))


@dataclass
class _Child:
    """A running child: what it still has to do, what it is at, since when."""

    pid: int
    pipe: int
    todo: list[int]
    since: float
    now: int | None = None
    rest: bytes = b""


class Runner:
    """Runs cases of one seed in children that this process forks.

    Attributes:
        seed: the seed.
        table: what is fuzzed.
        folder: where the good files lie, and where the children work.
    """

    def __init__(self, seed: str, table: dict[str, Kind], folder: Path) -> None:
        self.seed, self.table, self.folder = seed, table, folder

    def run(self, numbers: Iterable[int], jobs: int = 1) -> Iterator[tuple[str, str, Found | None]]:
        """Yield kind, exit code and defect of each case, in the order in which they end."""
        waiting = _chunks(numbers)
        with selectors.DefaultSelector() as selector:
            free = list(range(jobs))
            while True:
                while free and (chunk := next(waiting, None)):
                    self._start(chunk, free.pop(), selector)
                if not selector.get_map():
                    return
                for key, _ in selector.select(1.0):
                    child, place = key.data
                    yield from self._read(child)
                    if child.pipe < 0:
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        yield from self._ended(child)
                        if child.todo:
                            self._start(child.todo, place, selector)
                        else:
                            free.append(place)
                for key in list(selector.get_map().values()):
                    child, _ = key.data
                    if time.monotonic() - child.since > SILENT:
                        os.kill(child.pid, signal.SIGKILL)

    def once(self, this: Case) -> Found | None:
        """Run one case in a child of its own; return its defect."""
        child = self._fork([this.number], "alone", this)
        last = None
        while child.pipe >= 0:
            for _, _, found in self._read(child):
                last = found
        for _, _, found in self._ended(child):
            last = found
        return last

    def _start(self, chunk: list[int], place: int, selector: selectors.BaseSelector) -> None:
        child = self._fork(chunk, str(place))
        selector.register(child.pipe, selectors.EVENT_READ, (child, place))

    def _fork(self, chunk: list[int], place: str, only: Case | None = None) -> _Child:
        read, write = os.pipe()
        pid = os.fork()
        if pid:
            os.close(write)
            return _Child(pid, read, chunk, time.monotonic())
        os.close(read)
        try:
            self._work(write, chunk, place, only)
        finally:
            os._exit(77)  # reached with a traceback in the file that took standard error

    def _work(self, pipe: int, chunk: list[int], place: str, only: Case | None) -> None:
        work = Workplace(self.folder / f"work-{place}", self.folder / GOOD)
        for number in chunk:
            _tell(pipe, {"start": number})
            this = only or case(self.seed, number, self.table)
            outcome = work.run(this)
            wrong = defect(this, outcome)
            end = {"end": number, "kind": this.kind, "code": str(outcome.code), "defect": wrong}
            if wrong:
                end |= {"err": outcome.err[-2000:], "trace": outcome.trace[-4000:]}
            _tell(pipe, end)
        os._exit(0)

    def _read(self, child: _Child) -> Iterator[tuple[str, str, Found | None]]:
        """Yield what a child has told; its pipe becomes -1 at its end."""
        got = os.read(child.pipe, 1 << 16)
        if not got:
            child.pipe = -1
            return
        *lines, child.rest = (child.rest + got).split(b"\n")
        for line in lines:
            said = json.loads(line)
            child.since = time.monotonic()
            if "start" in said:
                child.now = said["start"]
                continue
            child.todo = [number for number in child.todo if number != child.now]
            child.now, found = None, None
            if said["defect"]:
                found = Found(said["end"], said["defect"], said["err"], said["trace"])
            yield said["kind"], said["code"], found

    def _ended(self, child: _Child) -> Iterator[tuple[str, str, Found | None]]:
        """Yield the case at which a child has died, if it has."""
        _, status = os.waitpid(child.pid, 0)
        number = child.now
        if number is None:
            return
        child.todo = [other for other in child.todo if other != number]
        ended = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        text = f"signal {signal.Signals(-ended).name}" if ended < 0 else f"death with code {ended}"
        if ended == -signal.SIGKILL and time.monotonic() - child.since > SILENT:
            text = "hang outside Python"
        yield case(self.seed, number, self.table).kind, "died", Found(number, text)


def _chunks(numbers: Iterable[int]) -> Iterator[list[int]]:
    chunk = []
    for number in numbers:
        chunk.append(number)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _tell(pipe: int, message: dict[str, object]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]
