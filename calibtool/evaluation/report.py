"""Report: the estimates of one variant, or of two and their difference. Nothing here computes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field

from calibtool.data.predictions import DataInfo
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.metrics.registry import canonical
from calibtool.types import Shown


@dataclass(frozen=True)
class Report(Shown):
    """The estimates of one set of predictions, by spec string.

    Attributes:
        data: what was read.
        estimates: the metrics, in the order of the request.
        after: the same metrics after a calibrator; empty without one.
        change: after minus before, paired; empty without a calibrator.
        calibrator: the title of the calibrator, or "".
        level: the confidence level of the intervals, such as 0.95; None without intervals.
        bias: mean score minus mean outcome in `view`, or None.
        said, was: the mean score and the mean outcome.
        reading: the numbers in words.
        warnings: what the numbers suffer from: infinite means, too few rows, files left out.
        notes: what was read and how, and which rows were left out of it.
        cells: 15 equal-width bins of the scores in `view`, or None.
        view: the view of the bias, the means and the cells.
        digest: of the scores and outcomes that were measured last, see `Results.digest`; or "".
        class_names: the names of the classes, if known.
        skipped: files that could not be read and were left out, with the reason; also among the
            `warnings`, in words.
    """

    data: DataInfo
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
    digest: str = ""
    class_names: tuple[str, ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        for estimate in self.estimates:
            if estimate.name in (name, canonical(name)):
                return estimate
        names = [estimate.name for estimate in self.estimates]
        close = difflib.get_close_matches(name, names) or names
        raise KeyError(f"no {name!r} in this report; it has {', '.join(close)}")

    def __iter__(self) -> Iterator[Estimate]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)
