"""Records of calibration over time. Renderers turn them into ink; nothing here computes."""

from __future__ import annotations

from dataclasses import dataclass

from calibtool.data.predictions import KIND_NAMES, Kind
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.types import Shown

NULLS = ("first", "calibrated")


@dataclass(frozen=True, eq=False)
class Period:
    """A period that is over: a day, a week, a file.

    Attributes:
        name: such as "2026-11-01".
        cells: (C,) of one view of its rows, of the same C cells in every period.
        kind: what the values were.
        view: top or positive.
    """

    name: str
    cells: Cells
    kind: Kind = "probs"
    view: str = "positive"


@dataclass(frozen=True)
class PeriodResult:
    """What a period comes to.

    Attributes:
        name, rows: of the period.
        said, was: mean score and mean outcome.
        bias: said minus was, with its interval.
        ece: with its interval.
        log10_e: decimal logarithm of the e-value of this period and all before it.
        alarm: whether an e-value so far has reached 1 / alpha.
    """

    name: str
    rows: int
    said: float
    was: float
    bias: Estimate
    ece: Estimate
    log10_e: float
    alarm: bool


@dataclass(frozen=True)
class Part:
    """Scores of a tenth of [0, 1], before the change and since.

    Attributes:
        low, high: the ends of the scores.
        rows, said, was: their number, mean score and mean outcome: before.
        rows_since, said_since, was_since: the same since.
        z: the change of the gap between outcome and score in standard deviations.
    """

    low: float
    high: float
    rows: int
    said: float
    was: float
    rows_since: int
    said_since: float
    was_since: float
    z: float


@dataclass(frozen=True)
class Monitoring(Shown):
    """Calibration over time, and the evidence that it has changed or is not what it should be.

    Attributes:
        source: what was read.
        every: what a period is: day, week, month, file or a column.
        kind, view: what the scores are.
        against: first (the curve stays what it was) or calibrated (the scores are right).
        alpha: the probability of ever raising an alarm without cause, at most.
        level: of the intervals; None without.
        periods: in order.
        alarmed: number of the first period with an alarm, or None.
        changed: number of the period with which the change most probably came, and of the first
            and the last of those that together are 95 % probable; None without an alarm.
        parts: of the scores, the most changed first; empty without an alarm.
        notes: what the reader should know.
        reading: what it comes to, in words.
    """

    source: str
    every: str
    kind: Kind
    view: str
    against: str
    alpha: float
    level: float | None
    periods: tuple[PeriodResult, ...]
    alarmed: int | None = None
    changed: tuple[int, int, int] | None = None
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
    reading: str = ""

    @property
    def rows(self) -> int:
        """Of all periods."""
        return sum(period.rows for period in self.periods)

    @property
    def most(self) -> float:
        """The largest decimal logarithm of an e-value so far, at least 0."""
        return max(0.0, *(period.log10_e for period in self.periods))

    def describe(self) -> str:
        """One line for people."""
        count = len(self.periods)
        what = self.every if self.every in ("day", "week", "month", "file") else "period"
        periods = f"{count:,} {what}{'s' if count > 1 else ''}"
        return f"{self.source}: {periods}, {self.rows:,} rows, {KIND_NAMES[self.kind]}"
