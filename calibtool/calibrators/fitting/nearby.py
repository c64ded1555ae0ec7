"""Fits to nearly the same rows, such as those of the folds of a cross-fit: each search begins where
the last one ended.

Two folds share three quarters of their rows, so the optimum of one lies nearer to that of the other
than the temperature does from which a search begins otherwise, and second derivatives are nearly
the same there. A convex objective has one optimum: where its search begins decides how soon it is
reached, and moves parameters by less than the search leaves open (1e-10).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from calibtool.types import Array


@dataclass
class Ended:
    """Where a search ended.

    Attributes:
        at: the parameters; None if there was no search.
        inverse: an approximate inverse of the second derivatives there, where one was dear to make.
    """

    at: Array | None = None
    inverse: Callable[[Array], Array] | None = None


@dataclass
class Nearby:
    """Where searches ended, by what they searched."""

    ends: dict[Hashable, Ended] = field(default_factory=dict)


_nearby: ContextVar[Nearby | None] = ContextVar("nearby", default=None)


@contextmanager
def on_nearly_the_same_rows(nearby: Nearby) -> Iterator[None]:
    """Let the searches of this thread begin where those before them on `nearby` ended."""
    token = _nearby.set(nearby)
    try:
        yield
    finally:
        _nearby.reset(token)


def last_of(what: Hashable) -> Ended:
    """Return where the last such search on nearly the same rows ended, to be overwritten."""
    nearby = _nearby.get()
    return Ended() if nearby is None else nearby.ends.setdefault(what, Ended())
