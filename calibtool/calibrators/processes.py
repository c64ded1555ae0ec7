"""Work in processes of their own, for work that is many short calls: of these, two threads do
hardly more than one, since each waits for the other wherever Python itself runs.

A process is this Python again, which reads what it is asked from its standard input and answers on
its standard output. It ends at once when this process does, however that ends.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from calibtool.parallel import Work, cores, one_of_several, ordered, within_room
from calibtool.types import Progress

T = TypeVar("T")
Job = Callable[[str, Progress], T]

# Seconds of work, as `Method.seconds` estimates it, from which on a process brings back the half
# second that it takes to start, import and receive the rows.
PAYS = 5.0
# What a process runs. It does not look for modules where the user stands, but where this one does;
# an interruption from the keyboard is for this one to answer.
_START = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import sys; "
    "sys.path[:] = sys.argv[1:]; from calibtool.calibrators.processes import serve; serve()"
)
TOLD, DONE, FAILED = "told", "done", "failed"
_allowed: ContextVar[bool] = ContextVar("allowed", default=False)


@contextmanager
def allowed() -> Iterator[None]:
    """Let work begin processes. The command line does; a program that calls this library may not
    expect it."""
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


def in_parts(job: Job[T], names: Sequence[str], work: Work, seconds: float) -> Iterator[T]:
    """Yield `job(name, tell)` in the order of the names, several at a time: in threads, or, where
    that is allowed and pays, all but one of them in processes. The results are the same.

    Args:
        job: can be pickled, or is not done in processes.
        names: of parts of `work`, whose progress is told.
        work: the progress.
        seconds: about how many seconds of one core all take.
    """
    others = _begun(job, min(cores(), len(names)), seconds)
    free: SimpleQueue[_Other | None] = SimpleQueue()
    doers = [None, *others] if others else [None] * cores()
    for doer in doers:
        free.put(doer)

    def run(name: str) -> T:
        part, doer = work.part(name, threads=len(doers)), free.get()
        part(f"fitting {name}", 0.0)
        try:
            return job(name, part) if doer is None else doer.ask(name, part)
        except _GoneError:  # killed, perhaps for memory: there may be enough for one
            return job(name, part)
        finally:
            part.end()
            free.put(doer)

    try:
        yield from ordered(run, names, len(doers))
    finally:
        for other in others:
            other.end()


def _begun(job: Job[T], most: int, seconds: float) -> list[_Other]:
    """Begin processes beside this one, as many as pay and have room; none where it cannot be."""
    begun: list[_Other] = []
    count = min(most, 1 + int(seconds / PAYS)) if _allowed.get() else 1
    if count > 1:
        with suppress(OSError, TypeError, AttributeError, pickle.PicklingError):
            pickled = pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
            while len(begun) < within_room(count, len(pickled)) - 1:
                begun.append(_Other(pickled))
    return begun


class _GoneError(Exception):
    """A process ended before it answered."""


class _Other:
    """Another process, which does a job by name."""

    def __init__(self, pickled: bytes) -> None:
        self.pickled = pickled
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        begin = [sys.executable, "-P", "-c", _START, *sys.path]
        self.process = subprocess.Popen(begin, stdin=pipe, stdout=pipe, stderr=nowhere)  # noqa: S603
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, self.process.stdout

    def ask(self, name: str, tell: Progress) -> Any:
        """Return what the job returns for a name, or raise what it raises. Raises _GoneError if the
        process ends before."""
        self._ask(name)
        while (answer := self._answer()).kind == TOLD:
            tell(*answer.content)
        if answer.kind == FAILED:
            raise answer.content
        return answer.content

    def _ask(self, name: str) -> None:
        try:
            self.questions.write(self.pickled + pickle.dumps(name))
            self.questions.flush()
        except OSError:
            raise _GoneError from None
        self.pickled = b""  # once is enough

    def _answer(self) -> _Answer:
        try:
            answer: _Answer = pickle.load(self.answers)  # noqa: S301 - of our own process
        except (OSError, EOFError, pickle.UnpicklingError):
            raise _GoneError from None
        return answer

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.communicate()


class _Answer(NamedTuple):
    kind: str
    content: Any


def serve() -> None:
    """Do the job that arrives on standard input for the names that follow it, until that ends."""
    one_of_several()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    asked: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen, args=(asked,), daemon=True).start()

    def send(kind: str, content: Any) -> None:
        answers.write(pickle.dumps(_Answer(kind, content)))
        answers.flush()

    job = asked.get()
    while True:
        name = asked.get()
        try:
            done = job(name, lambda stage, share: send(TOLD, (stage, share)))
        except Exception as error:  # noqa: BLE001 - who asked decides
            send(FAILED, error)
        else:
            send(DONE, done)


def _listen(asked: SimpleQueue[Any]) -> None:
    """Hand on what arrives, and end the process, amid its work, where nobody can ask any more."""
    try:
        while True:
            asked.put(pickle.load(sys.stdin.buffer))  # noqa: S301 - of the process that began this
    finally:
        os._exit(0)
