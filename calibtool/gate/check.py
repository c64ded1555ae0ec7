"""Check predictions against requirements such as "ece <= 0.03", by the interval of the metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from calibtool.analysis.monitoring.read import Periods
from calibtool.data.files.source import Source
from calibtool.data.readable import Recalibrator
from calibtool.decisions.prediction_sets import PredictionSets
from calibtool.decisions.threshold import Threshold
from calibtool.errors import UsageError
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.report import Report
from calibtool.evaluation.resampling import Resampling
from calibtool.gate.baseline import Saved
from calibtool.gate.candidate import Candidate, prepare
from calibtool.gate.decide import decide, require_value
from calibtool.gate.evidence import evidence_report, evidence_verdicts
from calibtool.gate.outcome import MODES, Outcome, Verdict
from calibtool.gate.requirement import Requirement, parse_requirement
from calibtool.gate.seed_noise import remark, wanted
from calibtool.gate.sets import require_sets, set_estimates, set_rows
from calibtool.gate.slices import verdict_by_slice
from calibtool.gate.threshold import promised_verdict
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.spec import parse_list
from calibtool.parallel import in_steps
from calibtool.streaming.read import read as read_data
from calibtool.types import Progress, silent

NOTHING = (
    "nothing is required; give --require 'ece <= 0.03', or a list `require` in calibtool.toml or "
    "in [tool.calibtool.check] of pyproject.toml; `calibtool check FILE --init calibtool.toml` "
    "writes one"
)
# Measured where only p-values are required: a report holds at least one metric.
ALWAYS = "accuracy"


def check(
    predictions: Any,
    requirements: Iterable[str | Requirement],
    *,
    mode: str = "tolerate",
    baseline: Any = None,
    calibrator: Recalibrator | None = None,
    id_: str | None = None,
    periods: Periods | None = None,
    sets: PredictionSets | None = None,
    threshold: Threshold | None = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    **keys: Any,
) -> Outcome:
    """Check predictions against requirements.

    Args:
        predictions: what to measure, all that `ct.read` takes; None if only evidence over time
            is required.
        requirements: such as ["ece <= 0.03", "accuracy >= 90 %", "delta(nll) <= 0.005",
            "p(cox) >= 0.01", "ece <= 0.05 by country", "worst(ece by class) <= 0.1"].
        mode: "tolerate" fails only what the interval shows to break a requirement, "prove" passes
            only what it shows to meet it, "point" looks at the measured value alone.
        baseline: what delta(...) compares with: predictions on the same rows, or a saved report.
        calibrator: apply this calibrator to the predictions before checking.
        id_: the column that identifies rows, to match those of the baseline.
        periods: the data of e(change) and e(miscalibration), from
            `calibtool.analysis.monitoring.read.read`.
        sets: prediction sets, from `fit_sets` or `load_sets`, for requirements such as
            "set-coverage >= 0.88" and "set-size <= 2".
        threshold: its target is required too, of what it accepts of the predictions.
        cluster, ci, resamples, level, seed, threads, progress: as for `evaluate`.
        keys: which column has which role, as for `ct.load`.

    Raises UsageError for no requirement or one that cannot be parsed, and NotAvailableError for a
    metric that could not be computed: that is never a pass.

    >>> from calibtool.data.predictions import Predictions
    >>> p = Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]] * 40, [0, 1] * 40)
    >>> [check(p, ["ece <= 0.1"], mode=mode).decision for mode in ("tolerate", "point")]
    ['fail', 'fail']
    """
    parsed = [parse_requirement(r) if isinstance(r, str) else r for r in requirements]
    resampling = Resampling(ci, resamples, level, seed)
    _require(parsed, mode, resampling, cluster, threshold)
    over_time = [r for r in parsed if r.evidence]
    evidence = evidence_verdicts(over_time, periods)
    on_rows = [r for r in parsed if not r.evidence]
    if not on_rows and periods is not None and threshold is None:
        return Outcome(tuple(evidence), evidence_report(evidence, periods), mode)
    require_sets(parsed, sets, calibrated=calibrator is not None, cluster=cluster)
    predictions = read_data(predictions, **keys)
    if sets is not None and isinstance(predictions, Source):
        predictions = predictions.also(sets.columns)
    if threshold is not None and isinstance(predictions, Source):
        threshold.require_question(predictions.choice.question, predictions.source)
        predictions = predictions.also(threshold.columns)
    if baseline is not None and not isinstance(baseline, Saved):
        baseline = read_data(baseline, **keys)
    execution = Execution.of(threads, in_steps(progress or silent))
    candidate = prepare(
        predictions, on_rows, calibrator, baseline, id_, cluster, resampling, execution
    )
    specs = parse_list([r.spec for r in on_rows if r.spec is not None] or ALWAYS)
    report, measured = candidate.report(specs)
    plain = [r for r in on_rows if r.subject in measured and not r.by]
    more = wanted([(r, measured[r.subject]) for r in plain], mode, resampling)
    if more:
        candidate = replace(candidate, resampling=replace(resampling, resamples=more))
        report, measured = candidate.report(specs)
    tests = [r.test for r in on_rows if r.test and not r.by]
    if tests:
        measured |= candidate.p_values(tests, candidate.whole())
    if sets is not None:
        made = set_rows(sets, candidate.rows)
        candidate = replace(candidate, sets=made)
        measured |= set_estimates(made, resampling)
    verdicts = [_verdict(r, candidate, report, measured, mode, resamples) for r in on_rows]
    verdicts = sorted([*verdicts, *evidence], key=lambda v: parsed.index(v.requirement))
    if threshold is not None:
        verdicts.append(promised_verdict(threshold, candidate.rows.load(), mode, report.level))
    return Outcome(tuple(verdicts), report, mode, candidate.compared)


def _verdict(
    requirement: Requirement,
    candidate: Candidate,
    report: Report,
    measured: dict[str, Estimate],
    mode: str,
    asked: int,
) -> Verdict:
    if requirement.by:
        return verdict_by_slice(candidate, requirement, mode, report.level)
    estimate = measured[requirement.subject]
    require_value(requirement, estimate, report.data.source)
    decisive = decide(requirement, estimate, mode, report.level, report.data.rows)
    compared = candidate.compared_by(estimate) if requirement.delta else ""
    seed = remark(requirement, estimate, mode, candidate.resampling, asked)
    return Verdict(requirement, decisive, note="; ".join(text for text in (compared, seed) if text))


def _require(
    requirements: Sequence[Requirement],
    mode: str,
    resampling: Resampling,
    cluster: str | None,
    threshold: Threshold | None,
) -> None:
    """Check that something is required, and that it can be decided in this mode. Raises
    UsageError."""
    if not requirements and threshold is None:
        raise UsageError(NOTHING)
    if threshold is not None and cluster:
        raise UsageError(
            "--threshold cannot be combined with --cluster: its promise is about independent rows"
        )
    if mode not in MODES:
        raise UsageError(f"--mode must be one of {', '.join(MODES)} (got {mode!r})")
    if resampling.ci == "none" and mode != "point":
        raise UsageError(
            f"--ci none (or --resamples 0) cannot be combined with --mode {mode}, which decides by "
            "the interval; --mode point decides by the measured value alone"
        )
    # the smallest p-value that there is: the observed statistic counts as one of the redraws
    least = 1 / (1 + resampling.resamples)
    for requirement in requirements:
        if requirement.test and cluster:
            raise UsageError(
                f"{requirement.text}: tests of perfect calibration assume independent rows; "
                "with --cluster, require a threshold of a metric instead"
            )
        if requirement.test and requirement.threshold <= least:
            raise UsageError(
                f"{requirement.text}: {resampling.resamples:,} redraws give no p-value "
                f"below {least:.2g}, so it could never fail; use --resamples "
                f"{round(2 / max(requirement.threshold, 1e-6)):,}"
            )
