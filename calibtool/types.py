"""Types and defaults that every package uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Progress = Callable[[str, float], None]  # a stage, and the share of it that is done
# Rows that share a stream of bootstrap draws. Draws are keyed by (seed, block of rows), so that
# they do not depend on how the rows are read; blocks of the reading are whole multiples of it. With
# fewer rows, seeding the streams would take a larger share of the time. Another value draws other
# weights: every interval would change.
BLOCK = 1024


def silent(stage: str, share: float) -> None:
    """Do nothing: the progress callback if there is none."""
