"""Does a threshold still keep its promise? Its target, held against new rows.

The subject of the target is measured on what the threshold accepts of them, with an exact interval,
and decided as any requirement is. Of thresholds by group, every group has to keep it; Holm's
correction keeps the error rate of a failure, as for requirements with `by`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibtool.calibrators.confidences import fingerprint_of
from calibtool.data.predictions import Predictions
from calibtool.decisions.choose import weighing
from calibtool.decisions.losses import Losses, decided, losses_of
from calibtool.decisions.point import share_of
from calibtool.decisions.target import Target
from calibtool.decisions.threshold import SEPARATOR, Threshold
from calibtool.errors import NotAvailableError, UsageError
from calibtool.formatting import DEFAULT_LEVEL
from calibtool.gate.decide import decide
from calibtool.gate.outcome import Verdict
from calibtool.gate.requirement import Requirement
from calibtool.gate.slices import ORDER, UNCORRECTED, stepped
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.spec import parse
from calibtool.types import Array


@dataclass(frozen=True)
class Promised(Requirement):
    """The target of a threshold, as a requirement on what it accepts.

    Attributes:
        target: the target.
        largest: the largest value of the subject: 1, or the largest cost.
    """

    target: Target | None = None
    largest: float = 1.0

    @property
    def subject(self) -> str:
        """What is measured: "accepted accuracy", "recall"."""
        assert self.target is not None
        name = self.target.name
        return f"accepted {name}" if self.target.subject.accepts == "confident" else name

    @property
    def limits(self) -> tuple[float, float]:
        """The range of the subject."""
        return 0.0, self.largest


def promised_verdict(
    threshold: Threshold, predictions: Predictions, mode: str, level: float | None
) -> Verdict:
    """Return the verdict on the target of a threshold.

    Args:
        threshold: chosen on other rows.
        predictions: labelled; with the columns of the groups.
        mode: "prove", "tolerate" or "point".
        level: confidence level over all groups; None without intervals.

    Raises UsageError for the rows that chose it, and for other classes; NotAvailableError where no
    row is accepted.
    """
    predictions = weighing(predictions)
    if fingerprint_of(predictions) == threshold.fingerprint:
        raise UsageError(
            f"{predictions.source}: the threshold was chosen on these rows; check it on others"
        )
    after = threshold.calibrated(predictions)
    every = losses_of(after, threshold.target, threshold.costs)
    names = threshold.groups(after, decided(after).predicted)
    lines = threshold.lines(names)
    taken = every.scores >= np.nan_to_num(lines, nan=np.inf)
    requirement = _requirement(threshold, every)
    # a recall is of class 1, whether or not any of it is accepted
    recall = threshold.target.name == "recall"
    shown = every.counts & ~np.isnan(lines) if recall else taken
    held = [p.group for p in threshold.points if shown[names == p.group].any()]
    if not held:
        raise NotAvailableError(
            f"{predictions.source}: {requirement.text}: no row tells, so it cannot pass: "
            + (threshold.named("none is of class 1") if recall else "none is accepted")
        )
    groups = {k: names == name for k, name in enumerate(held)}

    def measure(k: int, level: float, resamples: int) -> Estimate:
        """Return the subject in group `k`; the interval needs no resamples."""
        estimate = _estimate(requirement, every.take(groups[k]), taken[groups[k]], level)
        return replace(estimate, missing=threshold.named(estimate.missing))

    rows = {k: int(shown[groups[k]].sum()) for k in groups}
    measured: dict[int, tuple[Estimate, float | None]] = {}
    if level is None or mode == "point":  # the interval does not decide
        measured |= {k: (measure(k, level or DEFAULT_LEVEL, 0), None) for k in groups}
    else:
        measured |= stepped(requirement, list(groups), measure, level, 0)
    checks = []
    for k, name in enumerate(held):
        estimate, own = measured[k]
        check = replace(decide(requirement, estimate, mode, own, rows[k]), level=own)
        if mode == "prove" and level and check.decision != "fail":  # a proof needs no correction
            check = decide(requirement, measure(k, level, 0), mode, level, rows[k])
            if check.decision == "fail":
                check = replace(check, decision="inconclusive", why=UNCORRECTED)
        checks.append(replace(check, name=name))
    checks.sort(key=lambda check: (ORDER[check.decision], check.margin))
    return Verdict(requirement, checks[0], tuple(checks) if threshold.by else (), _note(threshold))


def _requirement(threshold: Threshold, every: Losses) -> Promised:
    target = threshold.target
    return Promised(
        target.subject.relation,
        target.limit,
        parse("accuracy"),  # a metric, which a requirement has: decisions are by intervals
        by=SEPARATOR.join(threshold.by),
        target=target,
        largest=every.unit,
    )


def _estimate(requirement: Promised, every: Losses, taken: Array, level: float) -> Estimate:
    target = requirement.target
    assert target is not None
    share = share_of(target, every, taken, level)
    name, better = requirement.subject, "lower" if target.upper else "higher"
    if share.value is None:
        missing = "there is no row of class 1" if target.name == "recall" else "no row is accepted"
        return Estimate(name, None, better=better, missing=missing)
    scaled = share.value / every.unit
    weights = np.ones(len(taken)) if every.weights is None else every.weights
    w = weights[every.counts if target.name == "recall" else taken]
    error = every.unit * float(np.sqrt(scaled * (1 - scaled) * (w @ w)) / w.sum())
    return Estimate(
        name,
        share.value,
        corrected=share.value,
        low=share.low,
        high=share.high,
        better=better,
        signature=f"{name}|ci:clopper-pearson|level:{level:g}",
        error=error,
        least=0.0,
        most=every.unit,
    )


def _note(threshold: Threshold) -> str:
    without = sum(point.threshold is None for point in threshold.points)
    accepted = f"accepted by {threshold.describe()}"
    return f"{accepted}; {without:,} groups have none" if without else accepted
