"""Records of calibration over time. Nothing here computes; the reports show them."""

from __future__ import annotations

from dataclasses import dataclass

from calibtool.data.predictions import KIND_NAMES, Kind
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.types import Shown

NULLS = ("first", "calibrated")  # null hypotheses that `against` names


@dataclass(frozen=True, eq=False)
class Period:
    """The cells of one period: a day, a week, a file.

    Attributes:
        name: name of the period, such as "2026-11-01".
        cells: (C,) cells of its rows in `view`, with the same upper ends in every period.
        kind: kind of the predictions.
        view: "top" or "positive".
    """

    name: str
    cells: Cells
    kind: Kind = "probs"
    view: str = "positive"


@dataclass(frozen=True)
class PeriodResult:
    """The measurements of one period.

    Attributes:
        name, rows: name and number of rows of the period.
        said, was: mean score and mean outcome.
        bias: mean score minus mean outcome, with its interval.
        ece: ECE, with its interval.
        log10_e: decimal logarithm of the e-value of this period and all periods before it.
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
class ScoreRange:
    """The rows with scores in one tenth of [0, 1], before the change and since.

    Attributes:
        low, high: ends of the range of scores.
        rows, said, was: number of rows, mean score and mean outcome before the change.
        rows_since, said_since, was_since: the same since the change.
        z: change of the gap, outcome - score, in standard deviations.
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
    """Calibration over time, and the evidence against a null hypothesis.

    Attributes:
        source: what was read.
        every: length of a period: day, week, month, file, or a column whose values are periods.
        kind, view: kind of the predictions, and view of the scores.
        against: null hypothesis: "first" (the calibration curve does not change) or "calibrated"
            (the scores are the probabilities of the outcomes).
        alpha: largest probability of ever raising a false alarm.
        level: confidence level of the intervals; None without intervals.
        periods: measurements of each period, in order of time.
        alarmed: number of the first period with an alarm, or None.
        changed: number of the period the change most probably came with, and the first and last
            number of the periods that together have 95 % of the probability; None without an alarm.
        parts: ranges of the scores, the most changed first; empty without an alarm.
        notes: what the reader should know about the data.
        reading: summary in words.
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
    parts: tuple[ScoreRange, ...] = ()
    notes: tuple[str, ...] = ()
    reading: str = ""

    @property
    def rows(self) -> int:
        """Number of rows of all periods."""
        return sum(period.rows for period in self.periods)

    @property
    def most(self) -> float:
        """Largest decimal logarithm of an e-value so far, at least 0."""
        return max(0.0, *(period.log10_e for period in self.periods))

    def describe(self) -> str:
        """Return one line about the source, the periods and the predictions."""
        count = len(self.periods)
        unit = self.every if self.every in ("day", "week", "month", "file") else "period"
        periods = f"{count:,} {unit}{'s' if count > 1 else ''}"
        return f"{self.source}: {periods}, {self.rows:,} rows, {KIND_NAMES[self.kind]}"
