"""Work in threads, with results in the order of the items (threads change no digit), and progress:
the share of the work that is done, by what its parts cost.

Whatever takes long is given a callback (`types.Progress`) and calls it with a stage in words and
the share of its own work that is done; NaN where that cannot be known. Work of several parts tells
its caller one share, of the whole: the time that was spent, over that and the time to come.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock, local
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")

clock: Callable[[], float] = time.monotonic  # tests put another in its place

# What is known in advance of the speed of a machine counts as much as this share of all the work
# measured on it: a first part that is cheap, or read from a warm cache, says little of the rest.
PRIOR = 0.1
# Bytes that threads may hold together (256 MB) where what each of them holds grows with the data.
ROOM = 1 << 28


def ordered(work: Callable[[S], T], items: Iterable[S], threads: int) -> Iterator[T]:
    """Yield the results of `work` in the order of the items.

    At most `threads` + 1 items are taken ahead, which bounds the memory: `items` may be an endless
    stream of blocks. With one thread, work is done when its result is asked for; so is the work of
    a thread that is one of several itself, since more threads than cores get in each other's way,
    and a sequence of one item, whose own work may begin threads.

    >>> list(ordered(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    alone = isinstance(items, Sequence) and len(items) == 1
    if threads <= 1 or alone or getattr(_thread, "is_one_of_several", False):
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads, initializer=one_of_several) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # after an error, or Ctrl-C, what has not begun is not begun
            pool.shutdown(wait=False, cancel_futures=True)


_thread = local()


def one_of_several() -> None:
    """Begin no threads from this one: there are others beside it, on the other cores."""
    _thread.is_one_of_several = True


class Once:
    """Results that are computed once, also where several threads ask for one at a time.

    >>> once = Once()
    >>> once("sum", lambda: 1 + 2), once("sum", lambda: 0)
    (3, 3)
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._results: dict[Hashable, tuple[Lock, list[Any]]] = {}

    def __call__(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of `key`; who asks while another thread computes it waits."""
        with self._lock:
            lock, result = self._results.setdefault(key, (Lock(), []))
        with lock:
            if not result:
                result.append(compute())
        known: T = result[0]
        return known

    def __reduce__(self) -> tuple[type[Once], tuple[()]]:
        """Leave the results behind in a copy, or in what is sent to another process."""
        return Once, ()


def longest_first(costs: Mapping[str, float]) -> list[str]:
    """Return names in the order in which they are best begun on several cores: of work that takes
    longest first, since what is begun last may be left to one core while the others wait.

    >>> longest_first({"temperature": 1.0, "matrix": 9.0, "isotonic": 2.0})
    ['matrix', 'isotonic', 'temperature']
    """
    return sorted(costs, key=lambda name: -costs[name])


def within_room(threads: int, size: int) -> int:
    """Return how many of these threads may work at once if each holds `size` bytes: no more than
    fit in ROOM, at least one.

    >>> within_room(8, 1 << 26), within_room(8, 1 << 10)
    (4, 8)
    """
    return max(1, min(threads, ROOM // max(size, 1)))


def cores() -> int:
    """Return the number of cores that this process may use."""
    # the affinity, since a container or a batch system may allow fewer cores than there are
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Part:
    """The progress of one part, a callback for those who do its work."""

    def __init__(self, work: Work, cost: float, threads: int) -> None:
        self.work, self.cost, self.threads = work, cost, threads
        self.began = clock()
        self.share = math.nan
        self.took: float | None = None

    def __call__(self, stage: str, share: float) -> None:
        """Tell what is being done in this part, and the share of it that is done."""
        self.share = share
        self.work.tell(stage)

    def end(self) -> None:
        """End the part: the time that it took is known. What ended before stays as it is."""
        if self.took is None:
            self.took = self.spent

    @property
    def spent(self) -> float:
        """Seconds spent so far; of parts that are done beside each other, each one's share."""
        return (clock() - self.began) / self.threads if self.took is None else self.took

    @property
    def done(self) -> float:
        """How much of the cost is done; 0 where that is not known."""
        if self.took is not None:
            return self.cost
        return 0.0 if math.isnan(self.share) else self.cost * min(max(self.share, 0.0), 1.0)

    def rest(self, pace: float) -> float:
        """Return the seconds to come, at `pace` seconds per unit of cost.

        By the part's own pace, as far as it has come, and by that of the whole beyond: a cost that
        was estimated badly matters the less the farther the part is.
        """
        if self.took is not None:
            return 0.0
        expected, spent = self.cost * pace, self.spent
        if math.isnan(self.share):
            return max(expected - spent, 0.0)
        share = min(max(self.share, 0.0), 1.0)
        own = spent * (1 - share) / share if share else 0.0
        return share * own + (1 - share) * expected * (1 - share)


class Work:
    """The progress of work that has parts, done one after another or several at a time.

    It is a callback itself, for the part that `next` began.

    >>> told = []
    >>> work = Work(lambda stage, share: told.append((stage, round(share, 2))), {"a": 1, "b": 3})
    >>> work.next("a")
    >>> work("reading", 0.0)
    >>> told
    [('reading', 0.0)]
    """

    def __init__(self, progress: Callable[[str, float], None], costs: Mapping[str, float]) -> None:
        """Begin.

        Args:
            progress: told the share of the whole.
            costs: by the name of a part, about how many seconds it takes; NaN where nobody knows,
                and then no share is told before the part has ended. Parts that are done several at
                a time count by the seconds that pass.
        """
        self.progress = progress
        self.waiting = dict(costs)
        self.total = math.fsum(cost for cost in costs.values() if not math.isnan(cost))
        self.parts: list[Part] = []  # that have begun, and had not ended when last looked at
        # of the others: the seconds spent, and the seconds and the costs where these are known
        self.ended = self.measured = self.done = 0.0
        self.current: Part | None = None
        self.most = 0.0
        self.lock = Lock()

    def part(self, name: str, threads: int = 1) -> Part:
        """Begin a part, beside those that have begun, and of which `threads` run at a time."""
        with self.lock:
            part = Part(self, self.waiting.pop(name), threads)
            self.parts.append(part)
        return part

    def know(self, name: str, cost: float) -> None:
        """Set the cost of a part that has not begun, where what was done before tells it."""
        with self.lock:
            before = self.waiting[name]
            self.total += cost - (0.0 if math.isnan(before) else before)
            self.waiting[name] = cost

    def next(self, name: str) -> None:
        """End the part that was begun by this method before, and begin another."""
        self.end()
        self.current = self.part(name)

    def end(self) -> None:
        """End the part that `next` began."""
        if self.current is not None:
            self.current.end()

    def __call__(self, stage: str, share: float) -> None:
        """Tell what is being done in the part that `next` began, and the share of it."""
        assert self.current is not None
        self.current(stage, share)

    def tell(self, stage: str) -> None:
        """Tell the share of the whole that is done. Several threads may call it."""
        with self.lock:
            share = self._share()
            if not math.isnan(share):
                share = self.most = max(self.most, share)
            self.progress(stage, share)

    def _share(self) -> float:
        self._count_ended()
        parts, waiting = self.parts, self.waiting.values()
        if math.isnan(sum(waiting) + sum(part.cost for part in parts)):
            return math.nan
        spent = [part.spent for part in parts]
        shares = [part.done for part in parts]
        measured = self.measured + math.fsum(
            s for s, done in zip(spent, shares, strict=True) if done
        )
        done = self.done + math.fsum(shares)
        prior = PRIOR * self.total
        pace = (prior + measured) / (prior + done) if prior + done else 1.0
        rest = math.fsum(part.rest(pace) for part in parts) + pace * math.fsum(waiting)
        total = self.ended + math.fsum(spent)
        return total / (total + rest) if total + rest else 0.0

    def _count_ended(self) -> None:
        """Add up the parts that have ended: of a thousand, few are at work at a time."""
        running = []
        for part in self.parts:
            took = part.took
            if took is None:
                running.append(part)
                continue
            self.ended += took
            if part.cost and not math.isnan(part.cost):
                self.measured += took
                self.done += part.cost
        self.parts = running


def parts_alike(count: int) -> dict[str, float]:
    """Return the costs of parts that take about as long as one another: "0", "1" and so on.

    >>> parts_alike(2)
    {'0': 1.0, '1': 1.0}
    """
    return dict.fromkeys(map(str, range(count)), 1.0)


def in_steps(progress: Callable[[str, float], None]) -> Callable[[str, float], None]:
    """Return a callback for work of several steps whose costs beside each other nobody knows.

    The share of each step is told in words, and none of the whole. What comes after a step that is
    done is not told by everybody.

    >>> in_steps(lambda stage, share: print(stage, share))("reading", 0.417)
    reading (41 % of this step) nan
    """

    def tell(stage: str, share: float) -> None:
        if share >= 1:
            stage = f"after {stage}"
        elif not math.isnan(share):
            stage = f"{stage} ({int(100 * share)} % of this step)"
        progress(stage, math.nan)

    return tell
