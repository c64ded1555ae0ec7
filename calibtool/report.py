"""Records of what was measured. Renderers turn them into ink; nothing here computes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from calibtool.predictions import KIND_NAMES, Kind
from calibtool.statistic import Cells

NAMED = 3  # files that a warning names


@dataclass(frozen=True)
class Estimate:
    """A metric's value on some predictions, and how sure it is.

    Attributes:
        name: its spec string, such as "ece(bins=20)".
        value: the plain (plug-in) value; None where it is not available, and `missing` says why.
        low, high: the confidence interval, or None.
        unbiased: the median-unbiased estimate; calibration errors only.
        p_value: of perfect calibration, for calibration errors; of no change, for a change.
        view: which scores it looks at: top, positive, class; empty for a score of whole rows.
        better: "lower", "higher" or "".
        signature: how to get the same number again.
        error: the standard error, from the replicates; None without an interval.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unbiased: float | None = None
    p_value: float | None = None
    view: str = ""
    better: str = "lower"
    missing: str = ""
    signature: str = ""
    error: float | None = None


@dataclass(frozen=True)
class Data:
    """What was read; `filter` says of which rows, or is ""."""

    source: str
    rows: int
    classes: int | None
    kind: Kind
    weighted: bool = False
    filter: str = ""

    def describe(self) -> str:
        """One line for people."""
        classes = f"{self.classes:,} classes, " if self.classes else ""
        weighted = ", weighted" if self.weighted else ""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        where = f" where {self.filter}" if self.filter else ""
        return f"{self.source}{where}: {rows}, {classes}{KIND_NAMES[self.kind]}{weighted}"


@dataclass(frozen=True)
class Report:
    """The estimates of one set of predictions, by spec string.

    Attributes:
        data: what was read.
        estimates: in the order they were asked for.
        after: the same metrics after a calibrator; empty without one.
        change: after minus before, paired; empty without a calibrator.
        calibrator: what the calibrator calls itself, or "".
        level: the confidence level of the intervals, such as 0.95; None without intervals.
        bias: mean score minus mean outcome of the first view that is asked for, or None.
        said, was: those two means.
        reading: what the numbers say, in words.
        warnings: what the reader should know about the data.
        cells: 15 equal-width bins of the scores in `view`, or None.
        view: of the bias, the means and the cells.
        skipped: files that could not be read and were left out, with the reason; `warnings` says
            so in words.
    """

    data: Data
    estimates: tuple[Estimate, ...]
    after: tuple[Estimate, ...] = ()
    change: tuple[Estimate, ...] = ()
    calibrator: str = ""
    level: float | None = 0.95
    bias: Estimate | None = None
    said: float | None = None
    was: float | None = None
    reading: str = ""
    warnings: tuple[str, ...] = ()
    cells: Cells | None = field(default=None, compare=False, repr=False)
    view: str = ""
    skipped: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        names = [estimate.name for estimate in self.estimates]
        close = difflib.get_close_matches(name, names) or names
        raise KeyError(f"no {name!r} in this report; there are {', '.join(close)}")

    def __iter__(self) -> Iterator[Estimate]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)


def left_out(skipped: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A sentence on files that could not be read, naming the first few; none without any.

    >>> list(left_out([("b.parquet", "the file is empty")]))
    ['1 file could not be read and was left out: b.parquet (the file is empty)']
    """
    if skipped:
        which = "1 file could not be read and was" if len(skipped) == 1 else ""
        which = which or f"{len(skipped):,} files could not be read and were"
        named = ", ".join(f"{file} ({reason})" for file, reason in skipped[:NAMED])
        more = f", and {len(skipped) - NAMED:,} more" if len(skipped) > NAMED else ""
        yield f"{which} left out: {named}{more}"
