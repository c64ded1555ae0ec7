"""Records of a page: everything that a report to be sent shows. Renderers only lay it out."""

from __future__ import annotations

from dataclasses import dataclass

from calibtool.analysis.selection import Selection
from calibtool.diagrams.curve import Curve
from calibtool.diagrams.risk_coverage import Risk
from calibtool.evaluation.report import Report
from calibtool.intervals.estimate import Estimate


@dataclass(frozen=True)
class Group:
    """Some of the rows.

    Attributes:
        name: the class that is predicted in them, or the value of a column.
        rows: how many there are.
        score, outcome: mean score and mean outcome (confidence and accuracy, in the top view);
            None without rows that weigh anything.
        low, high: interval of the outcome.
        errors: calibration errors of these rows alone.
    """

    name: str
    rows: int
    score: float | None
    outcome: float | None
    low: float | None
    high: float | None
    errors: tuple[Estimate, ...] = ()

    @property
    def gap(self) -> float | None:
        """Mean score minus mean outcome: above 0, overconfident."""
        if self.score is None or self.outcome is None:
            return None
        return self.score - self.outcome

    @property
    def gap_interval(self) -> tuple[float, float] | None:
        """The gap at either end of the outcome's interval."""
        if self.score is None or self.low is None or self.high is None:
            return None
        return self.score - self.high, self.score - self.low

    @property
    def off(self) -> bool:
        """Whether the interval of the gap leaves out 0."""
        ends = self.gap_interval
        return ends is not None and not ends[0] <= 0 <= ends[1]


@dataclass(frozen=True)
class OneClass:
    """A class: the rows it is predicted in, how many are labelled so, and which share of those is
    found; its one-vs-rest ECE."""

    predicted: Group
    labelled: int
    recall: float | None
    ece: float | None


@dataclass(frozen=True)
class Classes:
    """The classes, those with the widest gaps first; `total` may be more than are listed."""

    rows: tuple[OneClass, ...]
    total: int


@dataclass(frozen=True)
class Slices:
    """The rows by a column.

    Attributes:
        column: its name.
        groups: in the order of the values; those of text by how many rows there are.
        note: what was joined or left out, or "".
    """

    column: str
    groups: tuple[Group, ...]
    note: str = ""


@dataclass(frozen=True)
class Recalibration:
    """What a calibrator makes of the same rows.

    Attributes:
        title: what it calls itself.
        how: why these rows do not flatter it.
        method: its name in the table of calibrators, or "" for one that was given.
    """

    title: str
    how: str
    method: str = ""


@dataclass(frozen=True, eq=False)
class FileSummary:
    """One file of predictions.

    Attributes:
        name: a short name, unlike that of every other subject.
        report: as given and, with a fix, after it.
        verdict: what the numbers say, in a sentence.
        effect: what the fix does, in a sentence; "" without.
        curves: reliability curves as given and, with a fix, after it.
        right, wrong: share of all rows that are right, and wrong, in each of the bins.
        risk: how often the most confident rows are wrong, as given.
        fix: the calibrator that was tried, or the best of several; None, and `no_fix` says why.
        selection: of several calibrators, or None.
        classes: None where only confidences are known.
        slices: by the columns that were asked for.
        checks: what is odd about the data, a sentence each.
        source: the file as it was given.
    """

    name: str
    report: Report
    verdict: str
    effect: str
    curves: tuple[Curve, ...]
    right: tuple[float, ...]
    wrong: tuple[float, ...]
    risk: Risk
    fix: Recalibration | None
    no_fix: str
    selection: Selection | None
    classes: Classes | None
    slices: tuple[Slices, ...]
    checks: tuple[str, ...]
    source: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several files.

    Attributes:
        changes: by the name of each subject but the first, its metrics minus the first one's,
            paired; empty where the rows are not the same.
        unpaired: why there are no differences, or "".
    """

    changes: tuple[tuple[str, tuple[Estimate, ...]], ...]
    unpaired: str


@dataclass(frozen=True, eq=False)
class Page:
    """A report to be sent: of one file, or of several that are compared.

    Attributes:
        title: its heading.
        subjects: one a file.
        comparison: of several files; None of one.
        level: of the intervals; None without intervals.
        command: how to get it again.
    """

    title: str
    subjects: tuple[FileSummary, ...]
    comparison: Comparison | None
    level: float | None
    command: str
