"""Types and defaults that every package uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Progress = Callable[[str, float], None]
BLOCK = 1024  # rows that share a stream


def silent(*_: object) -> None:
    """Do nothing: the callback for progress, or for a message, that nobody wants to see."""
