"""SideBySide: the reports of several files in one table, such as that of a paper.

The files may hold different rows. Nothing is claimed about their differences: `comparison` does
that, for predictions of the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from calibtool.errors import UsageError
from calibtool.evaluation.report import Report
from calibtool.formatting import DIGITS, MOST_DIGITS
from calibtool.intervals.estimate import Estimate
from calibtool.types import Shown


@dataclass(frozen=True)
class SideBySide(Shown):
    """Reports by name, and how their numbers are printed.

    Attributes:
        reports: each by the name of its model or file; at least one.
        digits: decimals; with `percent`, of percentages, and other numbers have two more.
        percent: whether metrics between -1 and 1 are printed as percentages.
        half_widths: whether a number is printed with ± the distance to the farther end of its
            interval, rather than with the interval.
    """

    reports: Mapping[str, Report]
    digits: int = DIGITS
    percent: bool = False
    half_widths: bool = False

    def rows(self) -> Iterator[tuple[str, tuple[Estimate, ...]]]:
        """Return name and estimates of each row: a report, and the same after its calibrator."""
        for name, report in self.reports.items():
            yield name, report.estimates
            if report.after:
                title = report.calibrator.partition(" (")[0]  # without its parameters
                yield f"{name}, {title}", report.after

    @property
    def metrics(self) -> list[str]:
        """The spec strings of all reports, in their order."""
        return list(dict.fromkeys(e.name for r in self.reports.values() for e in r.estimates))

    @property
    def level(self) -> float | None:
        """The confidence level of the intervals; None without any."""
        return next((r.level for r in self.reports.values() if r.level is not None), None)


def side_by_side(
    reports: Mapping[str, Report],
    *,
    digits: int | None = None,
    percent: bool = False,
    half_widths: bool = False,
) -> SideBySide:
    """Put reports of `ct.evaluate` into one table: a row per report, a column per metric.

    Args:
        reports: each by the name that the table has for it.
        digits: decimals; with `percent`, of percentages, and other numbers have two more, so that
            all are as precise. None for 4, and with `percent` for 2.
        percent: print metrics between -1 and 1, such as an error or the accuracy, as percentages.
        half_widths: print ± the distance to the farther end of an interval, not the interval.

    `print` shows the table, `to_latex` is that of a paper, `to_dict` and `to_pandas` hold the
    numbers as they were measured.

    Raises UsageError.

    >>> from calibtool.analysis.evaluate import evaluate
    >>> rows = {name: evaluate(([p, 0.8], [1, 1]), "brier", ci="none") for name, p in
    ...     [("A", 0.6), ("B", 0.8)]}
    >>> print(side_by_side(rows, digits=2).to_latex().splitlines()[-4])
    A & 0.10 \\\\
    """
    if not isinstance(reports, Mapping) or not reports:
        raise UsageError("expected at least one report by its name, as in {'ResNet': report}")
    for name, report in reports.items():
        if not isinstance(report, Report):
            raise UsageError(
                f"{name}: expected a report of ct.evaluate, got {type(report).__name__}"
            )
    levels = {report.level for report in reports.values() if report.level is not None}
    if len(levels) > 1:
        raise UsageError(
            f"the intervals are of {len(levels)} levels ({', '.join(map(str, sorted(levels)))}); "
            "evaluate all with the same level="
        )
    digits = (DIGITS - 2 if percent else DIGITS) if digits is None else digits
    if not 0 <= digits <= MOST_DIGITS:
        raise UsageError(f"digits must be between 0 and {MOST_DIGITS} (got {digits})")
    return SideBySide(dict(reports), digits, percent, half_widths)
