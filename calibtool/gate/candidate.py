"""Candidate: the predictions that are checked, as given or after a calibrator, and a baseline;
measured on all rows and in slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from calibtool.analysis.significance.run import significance
from calibtool.data.files.source import Source
from calibtool.data.matching import match
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable, Recalibrator, Variant, variants_of
from calibtool.data.slicing import columns_of, with_extra
from calibtool.decisions.set_report import SetRows
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.evaluation.results import Results
from calibtool.gate.baseline import Saved, delta, require
from calibtool.gate.requirement import Requirement
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.resolve import resolve_view
from calibtool.metrics.spec import Spec


@dataclass(frozen=True, eq=False)
class Candidate:
    """The predictions that are checked, and what they are compared with.

    Attributes:
        rows: the predictions; in memory where a requirement needs them so.
        calibrator: applied to the predictions before they are measured, or None.
        other: the baseline's predictions of the same rows, or None.
        saved: a saved report as baseline, or None.
        compared: how the baseline is compared, in words, or "".
        cluster: column of rows that are resampled together, or None.
        resampling: how intervals are made.
        execution: threads and progress.
        sets: the prediction sets of the rows, or None.
    """

    rows: Readable
    calibrator: Recalibrator | None = None
    other: Variant | None = None
    saved: Saved | None = None
    compared: str = ""
    cluster: str | None = None
    resampling: Resampling = field(default_factory=Resampling)
    execution: Execution = field(default_factory=Execution)
    sets: SetRows | None = None

    @property
    def variant(self) -> Variant:
        """The variant that is checked."""
        return Variant() if self.calibrator is None else Variant.of(self.calibrator)

    def whole(self) -> Predictions:
        """Return the candidate's predictions in memory, after the calibrator, with all columns."""
        rows = self.rows.load()
        applied = self.variant.apply(rows)
        return applied if applied is rows else with_extra(applied, rows.extra)

    def examine(
        self, specs: Sequence[Spec], rows: Readable, resampling: Resampling | None = None
    ) -> Results:
        """Measure some of the rows: the candidate (variant 0), and the baseline (variant 1) if
        there is one."""
        variants = [self.variant, *([self.other] if self.other else [])]
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
        """Measure all rows. Returns the report, and the estimate of each subject: "ece",
        "delta(ece)"."""
        variants = variants_of(self.calibrator)  # the report also shows the rows as given
        number = len(variants) - 1
        with_baseline = [*variants, *([self.other] if self.other else [])]
        results = evaluate_variants(self._request(specs, self.rows, with_baseline))
        return report_of(results.only(slice(0, number + 1))), self._by_subject(results, number)

    def estimates(self, results: Results) -> dict[str, Estimate]:
        """Return the estimates of what `examine` measured, by subject."""
        return self._by_subject(results, 0)

    def _by_subject(self, results: Results, number: int) -> dict[str, Estimate]:
        """Return the estimates of variant `number`, the candidate, and its differences from the
        baseline, which is the next variant or a saved report."""
        estimates = results.estimates(number)
        by_subject = {estimate.name: estimate for estimate in estimates}
        if self.other is not None:
            changes = results.change(number, number + 1)
            by_subject |= {f"delta({change.name})": change for change in changes}
        if self.saved is not None:
            digest = results.digest(number)
            for estimate in estimates:
                if self.saved.find(estimate) is not None:
                    difference = delta(self.saved, estimate, results.level, digest)
                    by_subject[f"delta({estimate.name})"] = difference
        return by_subject

    def compared_by(self, estimate: Estimate) -> str:
        """Return how an estimate of a difference was compared with the baseline, in words."""
        if self.saved is not None and estimate.low == estimate.high == 0:
            return f"the saved report {self.saved.path} is of the same predictions"
        return self.compared

    def p_values(self, tests: Sequence[str], predictions: Predictions) -> dict[str, Estimate]:
        """Return the p-values of tests of perfect calibration, by subject: "p(cox)"."""
        tested = significance(
            predictions,
            tests=list(dict.fromkeys(tests)),
            resamples=self.resampling.resamples,
            seed=self.resampling.seed,
        )
        return {
            f"p({test.name})": Estimate(
                f"p({test.name})",
                test.p_value,
                view=test.view,
                better="higher",
                missing=test.missing,
                signature=f"p({test.name})|view:{test.view}|redraws:{test.draws}"
                f"|seed:{tested.seed}",
            )
            for test in tested.results
        }


def prepare(
    predictions: Readable,
    requirements: Sequence[Requirement],
    calibrator: Recalibrator | None,
    baseline: Readable | Saved | None,
    id_: str | None,
    cluster: str | None,
    resampling: Resampling,
    execution: Execution,
) -> Candidate:
    """Return the candidate, with everything that the requirements need.

    Raises UsageError, which says what is missing, and InputError for a baseline of other rows.
    """
    deltas = [r for r in requirements if r.delta]
    if deltas and baseline is None:
        raise UsageError(
            f"{deltas[0].text}: there is no baseline to compare with; give --baseline FILE, "
            "predictions on the same rows or a saved report"
        )
    if baseline is not None and not deltas:
        raise UsageError(
            "--baseline is given, but no requirement compares with it; add --require "
            "'delta(nll) <= 0.005', or leave it out"
        )
    sliced = [r for r in deltas if r.by]
    if sliced and isinstance(baseline, Saved):
        raise UsageError(
            f"{sliced[0].text}: a saved report holds no slices; give the baseline's predictions "
            "instead"
        )
    rows = _with_columns(predictions, [r.by for r in requirements if r.by], cluster)
    if any(r.by for r in requirements):
        rows = rows.load()
    candidate = Candidate(
        rows, calibrator, cluster=cluster, resampling=resampling, execution=execution
    )
    if isinstance(baseline, Saved):
        compared = f"unpaired with the saved report {baseline.path} of {baseline.rows:,} rows"
        for requirement in deltas:
            assert requirement.spec is not None
            spec = resolve_view(requirement.spec, predictions)
            wanted = Estimate(spec.name, None, view=spec.view, signature=spec.signature())
            require(baseline, wanted)
        return replace(candidate, saved=baseline, compared=compared)
    if baseline is None:
        return candidate
    matched = match([rows, baseline], id_=id_)
    compared = f"paired with {baseline.source}, rows matched by {matched.by}"
    return replace(candidate, rows=matched.first, other=matched.systems[1], compared=compared)


def named(by: str, rows: Readable) -> str:
    """Return the columns of `by`, with "class" read as the predicted class unless there is a column
    of that name: calibration is a promise about what was predicted."""
    known = _columns(rows)
    names = [name.strip() for name in by.split(",")]
    return ",".join("predicted" if n == "class" and n not in known else n for n in names)


def _columns(rows: Readable) -> Iterable[str]:
    """Return the names of the columns that rows can be grouped by."""
    return rows.table.columns if isinstance(rows, Source) else getattr(rows, "extra", {})


def _with_columns(rows: Readable, parts: Sequence[str], cluster: str | None) -> Readable:
    """Return a source that also reads the columns of slices and clusters."""
    if not isinstance(rows, Source):
        return rows
    columns = rows.table.columns
    names = [name for by in parts for name in columns_of(named(by, rows), columns)]
    return rows.also([*names, *([cluster] if cluster else [])])
