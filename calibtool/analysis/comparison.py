"""Comparison: several predictions of the same rows, metric by metric, as paired differences.

Every metric of every system is measured by the same draws; a difference has an interval and a
p-value of the same construction, and all p-values together are corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from calibtool.data.files.source import Source
from calibtool.data.matching import match
from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.formatting import joined, names_of
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.multiple import holm
from calibtool.metrics.registry import SECTIONS
from calibtool.metrics.spec import Spec, parse
from calibtool.types import Progress, Shown

METRICS = (
    *("nll", "brier", "calibration-loss", "ece", "ks", "classwise-ece"),
    *("accuracy", "refinement-loss", "auroc-correct", "sharpness"),
)
FAMILIES = ("as a whole", "calibration", "discrimination", "sharpness")
_WHOLE = {"nll", "brier", "spherical", "nce", "nll-skill", "brier-skill"}
_SHARP = {"sharpness", "entropy", "mean-confidence", "unc", "uncertainty"}
_CALIBRATION = {"calibration-loss", "reliability"}


@dataclass(frozen=True)
class Change:
    """A system's metric minus the reference's.

    Attributes:
        estimate: the difference, its interval and its p-value.
        adjusted: the p-value after Holm's correction; None without intervals.
        verdict: "better", "worse", "higher" or "lower" where the adjusted p-value is below
            1 - level, else "".
    """

    estimate: Estimate
    adjusted: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class MetricRow:
    """A metric of all systems.

    Attributes:
        spec: the metric, by its spec string.
        family: one of FAMILIES.
        better: "lower", "higher" or "".
        estimates: of each system, in the order of their names.
        changes: minus the reference's; None for the reference itself.
    """

    spec: str
    family: str
    better: str
    estimates: tuple[Estimate, ...]
    changes: tuple[Change | None, ...]

    @property
    def missing(self) -> str:
        """Why the metric is not available for all; "" if it is."""
        return next((e.missing for e in self.estimates if e.missing), "")

    @property
    def best(self) -> int | None:
        """The best system, if it is one by more than chance: better than the reference or, where
        the reference is the best, better than all others."""
        known = [(e.value, k) for k, e in enumerate(self.estimates) if e.value is not None]
        if not self.better or len(known) < len(self.estimates):
            return None
        _, k = min(known) if self.better == "lower" else max(known)
        own = self.changes[k]
        if own is not None:
            return k if own.verdict == "better" else None
        others = [change for change in self.changes if change is not None]
        return k if all(change.verdict == "worse" for change in others) else None


@dataclass(frozen=True)
class Comparison(Shown):
    """Several systems on the same rows.

    Attributes:
        data: what the first file holds.
        names: what the systems are called.
        reference: the number of the one that the others are held against.
        matched: how rows were matched, such as "order".
        level: of the intervals; None without.
        lines: a metric each, in the order that was asked for.
        tests: how many p-values were corrected together.
        reading: what it comes to, in words.
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
    files: Sequence[Readable],
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
) -> Comparison:
    """Compare predictions of the same rows.

    Args:
        files: two or more.
        metrics: as for `evaluate`.
        names: what to call them; their sources' file names, unless said.
        reference: which one the others are held against.
        id_: the column that rows are matched by; see `calibtool.data.matching`.
        cluster: a column of the first file; rows with equal values are drawn together.
        ci, resamples, level, seed, threads, progress: as for `evaluate`.

    Raises InputError where rows do not match, UsageError.

    >>> from calibtool.data.predictions import Predictions
    >>> a = Predictions.from_probs([0.9, 0.2] * 20, [1, 0] * 20)
    >>> b = Predictions.from_probs([0.8, 0.3] * 20, [1, 0] * 20)
    >>> found = compare([a, b], ["nll"], names=["a", "b"])
    >>> found.lines[0].changes[1].verdict
    'worse'
    """
    if len(files) < 2:
        raise UsageError("to compare takes two files or more, of predictions on the same rows")
    if not 0 <= reference < len(files):
        raise UsageError(f"the reference is one of {len(files)} files, not number {reference}")
    resampling = Resampling(ci, resamples, level, seed)
    called = tuple(names or names_of([file.source for file in files]))
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
    found = evaluate_rows(request)
    estimates = [found.estimates(k) for k in range(len(files))]
    changes = [None if k == reference else found.change(k, reference) for k in range(len(files))]
    lines = [
        MetricRow(
            spec.name,
            family(spec.name),
            spec.metric.better,
            tuple(of_one[at] for of_one in estimates),
            tuple(
                None if own is None else Change(_signed(own[at], called[reference]))
                for own in changes
            ),
        )
        for at, spec in enumerate(found.specs)
    ]
    corrected, tests = _corrected(lines, found.level)
    whole = Comparison(
        found.data, called, reference, matched.by, found.level, tuple(corrected), tests
    )
    return replace(whole, reading=read(whole))


def family(name: str) -> str:
    """What a metric speaks of.

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
    measured = any(metric.name == base for part in sections for metric in SECTIONS[part])
    return "calibration" if spec.is_error or measured or base in _CALIBRATION else "discrimination"


def _signed(change: Estimate, reference: str) -> Estimate:
    return replace(change, signature=change.signature.replace("minus:before", f"minus:{reference}"))


def _corrected(lines: Sequence[MetricRow], level: float | None) -> tuple[list[MetricRow], int]:
    """Holm over metrics and pairs, and the verdicts."""
    known = [
        change.estimate.p_value
        for line in lines
        for change in line.changes
        if change is not None and change.estimate.p_value is not None
    ]
    adjusted = iter(holm(known))

    def judged(line: MetricRow, change: Change | None) -> Change | None:
        if change is None or change.estimate.p_value is None or level is None:
            return change
        p = next(adjusted)
        return Change(change.estimate, p, _verdict(change.estimate, p, level, line.better))

    return [
        replace(line, changes=tuple(judged(line, change) for change in line.changes))
        for line in lines
    ], len(known)


def _verdict(change: Estimate, adjusted: float, level: float, better: str) -> str:
    if adjusted >= 1 - level or change.low is None:
        return ""
    up = change.low > 0
    if not better:
        return "higher" if up else "lower"
    return "better" if up == (better == "higher") else "worse"


# ------------------------------------------------------------------ in words


def read(found: Comparison) -> str:
    """Which system is better on what; nothing is said of what chance could have done."""
    if found.level is None:
        return ""
    return "\n".join(_sentence(found, k) for k in range(len(found.names)) if k != found.reference)


def _sentence(found: Comparison, k: int) -> str:
    says: dict[str, list[str]] = {"better": [], "worse": [], "": []}
    for line in found.lines:
        change = line.changes[k]
        if line.better and change is not None and change.adjusted is not None:
            says[change.verdict].append(line.spec)
    name, other = found.names[k], found.names[found.reference]
    parts = [f"{word} in {joined(says[word])}" for word in ("better", "worse") if says[word]]
    if not parts:
        return f"{name}: no difference from {other} is shown."
    rest = f"; no difference is shown in {joined(says[''])}" if says[""] else ""
    return f"{name} is {', '.join(parts)} than {other}{rest}.{_split(found, k)}"


def _split(found: Comparison, k: int) -> str:
    """How much of a change in NLL is calibration, and how much is not."""
    by_name = {line.spec: line.changes[k] for line in found.lines}
    parts = [by_name.get(name) for name in ("nll", "calibration-loss", "refinement-loss")]
    values = [part.estimate.value for part in parts if part is not None]
    if len(values) < 3 or any(value is None for value in values):
        return ""
    whole, calibration, refinement = (float(value or 0.0) for value in values)
    return (
        f" The NLL changes by {whole:+.4f}: by {calibration:+.4f} through calibration, by "
        f"{refinement:+.4f} through what no calibration changes."
    )
