"""Comparison: several predictions of the same rows, metric by metric, as paired differences.

Every metric of every file is measured by the same draws. Each difference has an interval and a
p-value of the same construction; all p-values together are corrected by Holm's method (1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from calibtool.data.files.source import Source
from calibtool.data.matching import match
from calibtool.data.predictions import DataInfo
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import RowResults, evaluate_rows
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.notices import other_names
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.formatting import Change as Texts
from calibtool.formatting import Lines, changes, joined, names_of
from calibtool.intervals.direction import judged
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.multiple import holm
from calibtool.metrics.registry import SECTIONS
from calibtool.metrics.resolve import defaults
from calibtool.metrics.spec import Spec, parse
from calibtool.streaming.read import read as read_data
from calibtool.types import Progress, Shown

# By default: proper scores, their calibration and refinement parts, and one metric of each kind of
# calibration error, so that the reading can tell a calibration from a discrimination change.
METRICS = tuple(
    defaults(
        (
            *("nll", "brier", "calibration-loss", "ece", "ks", "classwise-ece"),
            *("accuracy", "refinement-loss", "auroc-correct", "sharpness"),
        )
    )
)
_WORDS = ("worse", "better", "higher", "lower")  # of verdicts, in the order of sentences
FAMILIES = ("as a whole", "calibration", "discrimination", "sharpness")
_WHOLE = {"nll", "brier", "spherical", "nce", "nll-skill", "brier-skill", "net-benefit"}
_SHARP = {"sharpness", "entropy", "mean-confidence", "unc", "uncertainty"}
_CALIBRATION = {"calibration-loss", "reliability"}


@dataclass(frozen=True)
class Change:
    """A file's metric minus the reference's.

    Attributes:
        estimate: the difference, with its interval and p-value.
        adjusted: the p-value after Holm's correction; None without intervals.
        verdict: "better", "worse", "higher" or "lower" where the adjusted p-value is below
            1 - level, else "".
    """

    estimate: Estimate
    adjusted: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class MetricRow:
    """A metric of all files.

    Attributes:
        spec: the spec string of the metric.
        family: one of FAMILIES.
        better: "lower", "higher", "nearer" to `ideal`, or "".
        ideal: the best value, or None.
        estimates: one per file, in the order of their names.
        changes: one per file, minus the reference's; None for the reference itself.
        best: the numbers of the files that are not worse than the best one beyond chance, the best
            first; empty where no value is better, or where some difference has no p-value.
    """

    spec: str
    family: str
    better: str
    ideal: float | None
    estimates: tuple[Estimate, ...]
    changes: tuple[Change | None, ...]
    best: tuple[int, ...] = ()

    @property
    def missing(self) -> str:
        """Why the metric is not available for every file; "" if it is."""
        return next((e.missing for e in self.estimates if e.missing), "")

    @property
    def leader(self) -> int | None:
        """The number of the file with the best value, the first among equals; None where no value
        is better, or where a file has none."""
        values = [e.value for e in self.estimates]
        if not self.better or any(value is None for value in values):
            return None
        aim = {"lower": -math.inf, "higher": math.inf}.get(self.better, self.ideal)
        assert aim is not None
        far = [_distance(float(value or 0.0), aim) for value in values]
        return far.index(min(far))


def texts_of(row: MetricRow, reference: int) -> dict[int, Texts]:
    """Return the changes of a metric as text by file, all but the reference.

    They are those of the corrected estimates, whose differences lie in the intervals.
    """
    others = {k: change.estimate for k, change in enumerate(row.changes) if change is not None}
    plain = any(change.corrected is None for change in others.values())
    shown = [estimate.value if plain else estimate.best for estimate in row.estimates]
    after = [(shown[k], change.low, change.high) for k, change in others.items()]
    return dict(zip(others, changes(shown[reference], after), strict=True))


@dataclass(frozen=True)
class Comparison(Shown):
    """Several files of predictions on the same rows.

    Attributes:
        data: the first file's data.
        names: the names of the files.
        reference: the number of the file that is subtracted from the others.
        matched: how rows were matched: "order", or "id" and the column.
        level: confidence level of the intervals; None without intervals.
        lines: one row per metric, in the order of the request.
        tests: how many p-values were corrected together.
        reading: the result in words.
    """

    data: DataInfo
    names: tuple[str, ...]
    reference: int
    matched: str
    level: float | None
    lines: tuple[MetricRow, ...]
    tests: int
    reading: str = ""


def compare(
    files: Sequence[Any],
    metrics: str | Iterable[str | Spec] = METRICS,
    *,
    names: Sequence[str] | None = None,
    reference: int = 0,
    id_: str | None = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    **keys: Any,
) -> Comparison:
    """Compare predictions of the same rows.

    Args:
        files: two or more sets of predictions, each all that `ct.read` takes.
        metrics: as for `evaluate`.
        names: names of the files, by default their file names.
        reference: the number of the file that is subtracted from the others.
        id_: the column that rows are matched by; see `calibtool.data.matching`.
        cluster: a column of the first file; rows with equal values (one patient, one user) are
            resampled together.
        ci, resamples, level, seed, threads, progress: as for `evaluate`.
        keys: which column has which role, as for `ct.load`.

    Raises InputError where rows do not match, UsageError.

    >>> from calibtool.data.predictions import Predictions
    >>> a = Predictions.from_probs([0.9, 0.2] * 20, [1, 0] * 20)
    >>> b = Predictions.from_probs([0.8, 0.3] * 20, [1, 0] * 20)
    >>> comparison = compare([a, b], ["nll"], names=["a", "b"])
    >>> comparison.lines[0].changes[1].verdict
    'worse'
    """
    if len(files) < 2:
        raise UsageError(
            "at least two files, of predictions on the same rows, are needed to compare"
        )
    if not 0 <= reference < len(files):
        raise UsageError(
            f"the reference must be one of {len(files)} files (got number {reference})"
        )
    files = [read_data(file, **keys) for file in files]
    resampling = Resampling(ci, resamples, level, seed)
    titles = tuple(names or names_of([file.source for file in files]))
    first, *others = files
    if cluster and isinstance(first, Source):
        first = first.also([cluster])
    matched = match([first, *others], id_=id_)
    request = Request.of(
        matched.first,
        metrics,
        matched.systems,
        cluster=cluster,
        bias=False,
        resampling=resampling,
        execution=Execution.of(threads, progress),
    )
    results = evaluate_rows(request)
    corrected, tests = _corrected(_rows(results, titles, reference), results.level)
    corrected = _with_best(corrected, results, reference)
    comparison = Comparison(
        results.data, titles, reference, matched.by, results.level, tuple(corrected), tests
    )
    said = [f"{line}." for line in other_names(request.specs)]
    return replace(comparison, reading=Lines.of([*said, *read(comparison).split("\n")]))


def _rows(results: RowResults, titles: Sequence[str], reference: int) -> list[MetricRow]:
    """Return one row per metric: each file's estimate, and its change from the reference."""
    files = range(len(results.variants))
    estimates = [results.estimates(k) for k in files]
    changes = [None if k == reference else results.change(k, reference) for k in files]
    return [
        MetricRow(
            spec.name,
            family(spec.name),
            spec.metric.better,
            spec.metric.ideal,
            tuple(of_file[at] for of_file in estimates),
            tuple(
                None if of_file is None else Change(_signed(of_file[at], titles[reference]))
                for of_file in changes
            ),
        )
        for at, spec in enumerate(results.specs)
    ]


def family(name: str) -> str:
    """Return the family of a metric, one of FAMILIES.

    >>> [family(name) for name in ("nll", "ece(bins=10)", "accuracy", "sharpness")]
    ['as a whole', 'calibration', 'discrimination', 'sharpness']
    """
    spec = parse(name)
    base = spec.metric.name
    if base in _WHOLE:
        return "as a whole"
    if base in _SHARP:
        return "sharpness"
    sections = ("binned", "binning-free", "clinical")
    in_sections = any(metric.name == base for part in sections for metric in SECTIONS[part])
    calibration = spec.is_error or in_sections or base in _CALIBRATION
    return "calibration" if calibration else "discrimination"


def _signed(change: Estimate, reference: str) -> Estimate:
    """Return a change whose signature names the reference."""
    return replace(change, signature=change.signature.replace("minus:before", f"minus:{reference}"))


def _corrected(lines: Sequence[MetricRow], level: float | None) -> tuple[list[MetricRow], int]:
    """Return the rows with Holm-adjusted p-values (over metrics and files) and verdicts, and the
    number of p-values."""
    known = [
        change.estimate.p_value
        for line in lines
        for change in line.changes
        if change is not None and change.estimate.p_value is not None
    ]
    adjusted = iter(holm(known))

    def with_verdict(line: MetricRow, k: int) -> Change | None:
        change = line.changes[k]
        if change is None or change.estimate.p_value is None or level is None:
            return change
        p, before = next(adjusted), line.estimates[line.changes.index(None)]
        verdict = _verdict(before, line.estimates[k], change.estimate, p, level)
        return Change(change.estimate, p, verdict)

    return [
        replace(line, changes=tuple(with_verdict(line, k) for k in range(len(line.changes))))
        for line in lines
    ], len(known)


def _verdict(
    before: Estimate, after: Estimate, change: Estimate, adjusted: float, level: float
) -> str:
    """Return the direction of a change that is significant, or ""."""
    if adjusted >= 1 - level or change.low is None:
        return ""
    return judged(before, after, up=change.low > 0)


def _with_best(lines: Sequence[MetricRow], results: RowResults, reference: int) -> list[MetricRow]:
    """Return the rows with the files that are not worse than the best beyond chance.

    Every file is compared with the one of the best value, whether or not that is the reference, and
    these p-values are corrected by Holm's method, as many as those against the reference.
    """
    if results.level is None:
        return list(lines)

    @cache
    def changes(k: int, since: int) -> tuple[Estimate, ...]:
        return results.change(k, since)

    compared: list[tuple[int, int, Estimate]] = []  # row, file, its change from the best
    for at, line in enumerate(lines):
        best = line.leader
        for k in range(len(line.estimates)):
            if best is not None and k != best:
                known = line.changes[k] if best == reference else None
                change = known.estimate if known else changes(k, best)[at]
                compared.append((at, k, change))
    with_p = [(at, k, c) for at, k, c in compared if c.p_value is not None]
    unknown = {at for at, _, c in compared if c.p_value is None}
    worse = set()
    adjusted = holm([c.p_value for _, _, c in with_p if c.p_value is not None])
    for (at, k, change), p in zip(with_p, adjusted, strict=True):
        line = lines[at]
        best = line.leader
        assert best is not None
        pair = line.estimates[best], line.estimates[k]
        if _verdict(*pair, change, p, results.level) == "worse":
            worse.add((at, k))
    return [
        replace(line, best=_not_worse(line, {k for row, k in worse if row == at}))
        if at not in unknown
        else line
        for at, line in enumerate(lines)
    ]


def _not_worse(line: MetricRow, worse: set[int]) -> tuple[int, ...]:
    """Return the numbers of the files that are not among the worse, the best first."""
    best = line.leader
    if best is None:
        return ()
    others = (k for k in range(len(line.estimates)) if k != best and k not in worse)
    return (best, *others)


def _distance(value: float, aim: float) -> float:
    """Return how far a value is from the best; from an infinite one, less is measured by sign."""
    if math.isinf(aim):
        return -value if aim > 0 else value
    return abs(value - aim)


# ------------------------------------------------------------------ in words


def read(comparison: Comparison) -> str:
    """Return a sentence per file that says on which metrics it is better or worse than the
    reference. Differences that chance explains are not called better or worse."""
    if comparison.level is None:
        return ""
    others = [k for k in range(len(comparison.names)) if k != comparison.reference]
    return Lines.of(_sentence(comparison, k) for k in others)


def _sentence(comparison: Comparison, k: int) -> str:
    """Return the sentence about file `k`."""
    says: dict[str, list[str]] = {word: [] for word in (*_WORDS, "")}
    for line in comparison.lines:
        change = line.changes[k]
        if line.better and change is not None and change.adjusted is not None:
            says[change.verdict].append(line.spec)
    name, other = comparison.names[k], comparison.names[comparison.reference]
    parts = [f"{word} in {joined(says[word])}" for word in _WORDS if says[word]]
    if not parts:
        return f"{name}: no difference from {other} is shown."
    rest = f"; no difference is shown in {joined(says[''])}" if says[""] else ""
    return f"{name} is {', '.join(parts)} than {other}{rest}.{_split(comparison, k)}"


def _split(comparison: Comparison, k: int) -> str:
    """Return a sentence on how much of a change in NLL is calibration, if it was measured."""
    by_name = {line.spec: line for line in comparison.lines}
    parts = [by_name.get(name) for name in ("nll", "calibration-loss", "refinement-loss")]
    shown = [texts_of(part, comparison.reference)[k].change for part in parts if part is not None]
    if len(shown) < 3 or not all(shown) or not all(map(math.isfinite, map(float, shown))):
        return ""
    whole, calibration, refinement = shown
    # rounded numbers that do not add up are not put into one sum
    adds_up = Decimal(whole) == Decimal(calibration) + Decimal(refinement)
    rest = f"by {refinement} through what" if adds_up else "the rest through what"
    return (
        f" The NLL changes by {whole}: by {calibration} through calibration, {rest} no "
        "calibration changes."
    )
