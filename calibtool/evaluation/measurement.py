"""What measuring is told, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from calibtool.intervals.draws import Draws
from calibtool.intervals.inversion import Inverted
from calibtool.types import Array, Progress


@dataclass(frozen=True)
class Settings:
    """How intervals are made: the method's name, the draws (None without intervals), the level;
    how many threads may work, and whom to tell how far it is. `paired` asks for replicates of
    calibration errors too, which a change needs; `of_cells` says that cells are drawn, not rows."""

    ci: str
    draws: Draws | None
    level: float
    threads: int
    progress: Progress
    paired: bool = False
    of_cells: bool = False

    @property
    def plain(self) -> str:
        """The method for metrics whose replicates centre on their value."""
        return "bca" if self.ci == "inverted" else self.ci


@dataclass(frozen=True, eq=False)
class Measurement:
    """A metric on one system.

    Attributes:
        value: the plug-in value, or None where `missing` says why there is none.
        replicates: (R,) its value in each replicate, or None.
        inverse: what candidate truths say; calibration errors only.
        acceleration: of a BCa interval.
        interval, method: one of the metric's own, and what it is called.
    """

    value: float | None = None
    missing: str = ""
    replicates: Array | None = None
    inverse: Inverted | None = None
    acceleration: float = 0.0
    interval: tuple[float, float] | None = None
    method: str = ""


Sums: TypeAlias = Array | None
Finish: TypeAlias = Callable[[Sums], Measurement]


def effective_rows(total: float, weights: Array | None) -> float:
    """Rows that would be as informative if all weighed the same (Kish 1965, sec. 8.2)."""
    if weights is None:
        return total
    return float(weights.sum() ** 2 / (weights**2).sum())
