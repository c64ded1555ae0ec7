"""Records of a page: everything that it shows. `html` and `markdown` only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from calibtool.analysis.selection import Selection
from calibtool.data.predictions import in_names
from calibtool.diagrams.curve import Curve
from calibtool.diagrams.decision_curve import DecisionCurve
from calibtool.diagrams.marks import long_name
from calibtool.diagrams.outcomes import Outcomes
from calibtool.diagrams.risk_coverage import Risk
from calibtool.evaluation.report import Report
from calibtool.intervals.estimate import Estimate


@dataclass(frozen=True)
class Group:
    """Some of the rows.

    Attributes:
        name: their predicted class, or their value of a column.
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
        """Whether the interval of the gap excludes 0."""
        return bool(self.beyond)

    @property
    def beyond(self) -> float | None:
        """The gap that chance does not explain: the distance between 0 and its interval."""
        ends = self.gap_interval
        return None if ends is None else max(ends[0], -ends[1], 0.0)


@dataclass(frozen=True)
class OneClass:
    """A class.

    Attributes:
        predicted: the rows that are predicted as this class.
        labelled: the number of rows with this label.
        recall: the share of those that are predicted as this class; None without any.
        ece: one-vs-rest, with 15 bins of equal width; None where it is not known.
    """

    predicted: Group
    labelled: int
    recall: float | None
    ece: float | None


@dataclass(frozen=True)
class Classes:
    """Classes.

    Attributes:
        rows: those with the widest gaps beyond chance, the widest first.
        total: number of all classes.
        predicted: number of the classes that some row is predicted as.
        off: number of those whose gap is wider than chance explains.
    """

    rows: tuple[OneClass, ...]
    total: int
    predicted: int
    off: int


@dataclass(frozen=True)
class Slices:
    """The rows by a column.

    Attributes:
        column: its name.
        groups: in the order of the values; those of text by how many rows there are.
        note: which values were joined or are missing, or "".
        worst: a sentence on the group of the highest ECE, where groups are the labels of rows that
            have several; "" for other columns.
    """

    column: str
    groups: tuple[Group, ...]
    note: str = ""
    worst: str = ""


@dataclass(frozen=True)
class Recalibration:
    """The calibrator whose effect a page shows.

    Attributes:
        title: its description.
        how: how it was fitted, so that its effect on these rows is not optimistic.
        method: its name in the table of calibrators, or "" for one that was given.
    """

    title: str
    how: str
    method: str = ""


@dataclass(frozen=True, eq=False)
class Clinical:
    """What a report on a clinical prediction model shows besides.

    Attributes:
        threshold: at which its table gives net benefit.
        estimates: discrimination, calibration and net benefit, as given.
        calibration: local regressions of the outcome on P(class 1), as given and, with a fix, after
            it.
        decision: net benefit against the threshold, likewise.
        outcomes: histograms of P(class 1) by outcome, as given.
    """

    threshold: float
    estimates: tuple[Estimate, ...]
    calibration: tuple[Curve, ...]
    decision: DecisionCurve
    outcomes: Outcomes


@dataclass(frozen=True)
class RightAndWrong:
    """The confidence of right and of wrong predictions.

    Attributes:
        edges: of the bins, from 0 to 1.
        right, wrong: share of all rows that are right, and wrong, in each bin.
        wide: whether the bins get narrower towards 1, where most of the rows are.
    """

    edges: tuple[float, ...]
    right: tuple[float, ...]
    wrong: tuple[float, ...]
    wide: bool


@dataclass(frozen=True, eq=False)
class FileSummary:
    """One file of predictions.

    Attributes:
        name: a short name, unique on the page.
        report: as given and, with a fix, after it.
        verdict: the reading of the numbers as given, in a sentence.
        effect: the effect of the fix, in a sentence; "" without one.
        curves: reliability curves as given and, with a fix, after it.
        confidence: of the rows that are right, and of those that are wrong.
        risk: error rate of the most confident rows, as given.
        fix: the calibrator that was tried, or the best of several; None, and `no_fix` says why.
        selection: of several calibrators, or None.
        classes: None where only confidences are known.
        slices: one for each requested column.
        checks: oddities of the data, one sentence each.
        source: the name of the file as the caller wrote it.
        clinical: the panels of a clinical prediction model; None where they were not asked for.
    """

    name: str
    report: Report
    verdict: str
    effect: str
    curves: tuple[Curve, ...]
    confidence: RightAndWrong
    risk: Risk
    fix: Recalibration | None
    no_fix: str
    selection: Selection | None
    classes: Classes | None
    slices: tuple[Slices, ...]
    checks: tuple[str, ...]
    source: str
    clinical: Clinical | None = None

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The estimates as given that the table of the clinical panels does not show."""
        shown = self.clinical.estimates if self.clinical else ()
        return tuple(estimate for estimate in self.report.estimates if estimate not in shown)

    def named(self, text: str, longest: int | None = None) -> str:
        """Return a text about class 1 and class 0 with the names of the classes, if they have
        names; of at most `longest` letters each, where there is no room for more."""
        names = self.report.class_names
        if names and longest:
            names = tuple(long_name(name, longest) for name in names)
        return in_names(text, names, self.report.data.unit)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Differences between files.

    Attributes:
        changes: the name of each file but the first, and its metrics minus those of the first,
            paired; empty if the rows are not the same.
        unpaired: why there are no differences, or "".
    """

    changes: tuple[tuple[str, tuple[Estimate, ...]], ...]
    unpaired: str


@dataclass(frozen=True, eq=False)
class Page:
    """A shareable report on one file, or on several that are compared.

    Attributes:
        title: its heading.
        subjects: one per file.
        comparison: of several files; None for one.
        level: of the intervals; None without intervals.
        command: the command line that makes the page again, or "".
        flags: the options of reading in it, which the commands that a page names repeat.
        calibrator_file: the file of the calibrator that was given, quoted for a shell, or "".
    """

    title: str
    subjects: tuple[FileSummary, ...]
    comparison: Comparison | None
    level: float | None
    command: str
    flags: str = ""
    calibrator_file: str = ""

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks, where its diagrams and tables work too."""
        return str(import_module("calibtool.reports.page.html").frame(self))


def metric_rows(subjects: Sequence[FileSummary]) -> list[list[Estimate]]:
    """Return every metric of every file: a row per metric, an estimate per file.

    Files of two and of more classes have other metrics by default; what a file has not is missing.
    """
    every = [{e.name: e for e in subject.report.estimates} for subject in subjects]
    names = list(dict.fromkeys(name for estimates in every for name in estimates))
    found: dict[str, Estimate] = {}
    for estimates in reversed(every):
        found |= estimates
    absent = {name: Estimate(name, None, view=found[name].view, missing="-") for name in names}
    return [[estimates.get(name, absent[name]) for estimates in every] for name in names]
