"""What is held to requirements: rows, what a calibrator makes of them, and a baseline's on the same
rows; measured whole and in slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from calibtool.analysis.significance.run import significance
from calibtool.data.files.source import Source
from calibtool.data.matching import match
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Recalibrator, Variant
from calibtool.data.slicing import columns_of, with_extra
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.evaluation.results import Results
from calibtool.gate.baseline import Saved, delta
from calibtool.gate.requirement import Requirement
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.spec import Spec


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is measured.

    Attributes:
        rows: the predictions; whole in memory where a requirement needs that.
        calibrator: what makes the candidate of them, or None.
        other: the baseline's predictions on the same rows, or None.
        saved: a report to compare with, or None.
        compared: how the baseline is compared, in words, or "".
        cluster: column of rows that are resampled together, or None.
        resampling: how intervals are made.
        execution: threads and progress.
    """

    rows: Readable
    calibrator: Recalibrator | None = None
    other: Variant | None = None
    saved: Saved | None = None
    compared: str = ""
    cluster: str | None = None
    resampling: Resampling = field(default_factory=Resampling)
    execution: Execution = field(default_factory=Execution)

    @property
    def candidate(self) -> Variant:
        """What is held to the requirements."""
        return Variant() if self.calibrator is None else Variant.of(self.calibrator)

    def whole(self) -> Predictions:
        """The candidate's predictions, in memory."""
        rows = self.rows.load()
        made = self.candidate.apply(rows)
        return made if made is rows else with_extra(made, rows.extra)

    def examine(
        self, specs: Sequence[Spec], rows: Readable, resampling: Resampling | None = None
    ) -> Results:
        """Measure some of the rows: the candidate (variant 0), and the baseline (variant 1) if
        there is one."""
        variants = [self.candidate, *([self.other] if self.other else [])]
        return evaluate_variants(self._request(specs, rows, variants, resampling, bias=False))

    def _request(
        self,
        specs: Sequence[Spec],
        rows: Readable,
        variants: Sequence[Variant],
        resampling: Resampling | None = None,
        *,
        bias: bool = True,
    ) -> Request:
        return Request.of(
            rows,
            specs,
            variants,
            cluster=self.cluster,
            bias=bias,
            resampling=resampling or self.resampling,
            execution=self.execution,
        )

    def report(self, specs: Sequence[Spec]) -> tuple[Report, dict[str, Estimate]]:
        """The report of all rows, and the estimate of each subject: "ece", "delta(ece)"."""
        raw = [Variant()] if self.calibrator is not None else []
        systems = [*raw, self.candidate, *([self.other] if self.other else [])]
        found = evaluate_variants(self._request(specs, self.rows, systems))
        own = len(raw)
        level = found.level
        measured = self._named(found, own, level)
        return report_of(found.only(slice(0, own + 1))), measured

    def estimates(self, found: Results) -> dict[str, Estimate]:
        """The estimates of what `examine` found, by subject."""
        return self._named(found, 0, found.level)

    def _named(self, found: Results, own: int, level: float | None) -> dict[str, Estimate]:
        estimates = found.estimates(own)
        named = {estimate.name: estimate for estimate in estimates}
        if self.other is not None:
            changes = found.change(own, own + 1)
            named |= {f"delta({e.name})": e for e in changes}
        if self.saved is not None:
            for estimate in estimates:
                if estimate.name in self.saved.estimates:
                    key = f"delta({estimate.name})"
                    named[key] = delta(self.saved, estimate, level)
        return named

    def p_values(self, tests: Sequence[str], predictions: Predictions) -> dict[str, Estimate]:
        """The p-value of tests of perfect calibration, by subject: "p(cox)"."""
        found = significance(
            predictions,
            tests=list(dict.fromkeys(tests)),
            resamples=self.resampling.resamples,
            seed=self.resampling.seed,
        )
        return {
            f"p({one.name})": Estimate(
                f"p({one.name})",
                one.p_value,
                view=one.view,
                better="higher",
                missing=one.missing,
                signature=f"p({one.name})|view:{one.view}|redraws:{one.draws}|seed:{found.seed}",
            )
            for one in found.results
        }


def prepare(
    predictions: Readable,
    wanted: Sequence[Requirement],
    calibrator: Recalibrator | None,
    baseline: Readable | Saved | None,
    id_: str | None,
    cluster: str | None,
    resampling: Resampling,
    execution: Execution,
) -> Candidate:
    """Everything that the requirements need, or an error that says what is missing."""
    deltas = [r for r in wanted if r.delta]
    if deltas and baseline is None:
        raise UsageError(
            f"{deltas[0].text}: there is nothing to compare with; give --baseline FILE, "
            "predictions on the same rows or a saved report"
        )
    if baseline is not None and not deltas:
        raise UsageError(
            "a baseline is given, but no requirement speaks of it; require 'delta(nll) <= 0.005'"
        )
    sliced = [r for r in deltas if r.by]
    if sliced and isinstance(baseline, Saved):
        raise UsageError(
            f"{sliced[0].text}: a saved report knows no slices; give the baseline's predictions"
        )
    rows = _with_columns(predictions, [r.by for r in wanted if r.by], cluster)
    if any(r.by for r in wanted):
        rows = rows.load()
    subject = Candidate(
        rows, calibrator, cluster=cluster, resampling=resampling, execution=execution
    )
    if isinstance(baseline, Saved):
        how = f"unpaired with the saved report {baseline.path} of {baseline.rows:,} rows"
        for requirement in deltas:
            assert requirement.spec is not None
            if requirement.spec.name not in baseline.estimates:
                delta(baseline, Estimate(requirement.spec.name, None), None)  # says what to do
        return replace(subject, saved=baseline, compared=how)
    if baseline is None:
        return subject
    matched = match([rows, baseline], id_=id_)
    rows_by = f"by {matched.by}"
    how = f"paired with {baseline.source}, rows matched {rows_by}"
    return replace(subject, rows=matched.first, other=matched.systems[1], compared=how)


def named(by: str, rows: Readable) -> str:
    """The columns with "class" read as the predicted class, unless there is a column of that name:
    calibration is a promise about what was predicted."""
    known = _known(rows)
    names = [name.strip() for name in by.split(",")]
    return ",".join("predicted" if n == "class" and n not in known else n for n in names)


def _known(rows: Readable) -> Iterable[str]:
    return rows.table.columns if isinstance(rows, Source) else getattr(rows, "extra", {})


def _with_columns(rows: Readable, parts: Sequence[str], cluster: str | None) -> Readable:
    """A source that carries along the columns of slices and clusters."""
    if not isinstance(rows, Source):
        return rows
    there = rows.table.columns
    names = [name for by in parts for name in columns_of(named(by, rows), there)]
    return rows.also([*names, *([cluster] if cluster else [])])
