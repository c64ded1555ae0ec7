"""Work in threads, with results in the order of the items: threads change no digit."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ordered(work: Callable[[S], T], items: Iterable[S], threads: int) -> Iterator[T]:
    """Yield the results of `work` in the order of the items.

    At most `threads` + 1 items are taken ahead, which bounds the memory: `items` may be an endless
    stream of blocks. With one thread, work is done when its result is asked for.

    >>> list(ordered(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    if threads <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def cores() -> int:
    """Return the number of cores that this process may use."""
    # the affinity, since a container or a batch system may allow fewer cores than there are
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
