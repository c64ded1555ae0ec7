"""A requirement that every slice must meet.

A slice fails only after Holm's correction (1979) for the number of slices. With m slices left, each
interval is computed at 1/m of the error rate; the slices that break the requirement are set aside,
and the others are measured again with m reduced. The probability of stopping a model whose slices
all meet the requirement is therefore that of a single requirement.

To prove a requirement, every slice must be proven at the full error rate. That needs no correction:
the model passes wrongly only if a slice that breaks the requirement passes, and one such slice is
enough to limit the probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.clusters import FEWEST
from calibtool.data.slicing import Partition, partition
from calibtool.errors import InputError
from calibtool.evaluation.resampling import fewest_resamples
from calibtool.gate.candidate import Candidate, named
from calibtool.gate.decide import decide, require_value
from calibtool.gate.outcome import Check, Verdict
from calibtool.gate.requirement import Requirement
from calibtool.gate.sets import by_label, set_estimates
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.multiple import holm

MOST_DRAWN = 10_000  # most replicates per slice; bounds the time with many slices
# Replicates that are wanted beyond the ends of an interval, both together: an end is a quantile of
# the replicates, and quantiles that rest on 20 of them on each side are steady enough.
TAIL_DRAWS = 40
UNCORRECTED = "violated by its own interval, but not after Holm's correction"
ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}  # the worst decision first

# number of a slice, level, number of replicates -> the slice's estimate
Measure = Callable[[int, float, int], Estimate]


def verdict_by_slice(
    candidate: Candidate, requirement: Requirement, mode: str, level: float | None
) -> Verdict:
    """Return the verdict on a requirement with `by`: that of the worst slice.

    Args:
        candidate: what is checked; its rows carry the columns of `by`.
        requirement: the requirement.
        mode: "prove", "tolerate" or "point".
        level: confidence level over all slices; None without intervals.

    Raises InputError if no slice has enough rows or clusters.
    """
    rows = candidate.rows.load()
    whole = candidate.whole()
    if requirement.sets:
        parts = partition(by_label(whole, requirement.by), requirement.by)
    else:
        parts = partition(whole, named(requirement.by, rows))
    if not parts.large:
        raise InputError(f"{whole.source}: {requirement.text}: {parts.apart}")
    few = ""
    if requirement.test:
        checks = _by_test(candidate, requirement, parts, mode)
    else:
        large, few = _enough(candidate, parts)
        checks = _by_metric(candidate, requirement, parts, large, mode, level)
    checks.sort(key=lambda check: (ORDER[check.decision], check.margin))
    worst = checks[0]
    if len(checks) > 1:
        failed = sum(check.decision == "fail" for check in checks)
        counted = f"{failed} of {len(checks)} slices" if failed else f"{len(checks)} slices"
        worst = replace(worst, why=f"{worst.why} (the worst of {counted})")
    note = " ".join(text for text in (parts.note, parts.apart, few) if text)
    return Verdict(requirement, worst, tuple(checks), note)


def _enough(candidate: Candidate, parts: Partition) -> tuple[list[int], str]:
    """Return the slices with enough clusters to be resampled, and a note that names the others."""
    column = candidate.cluster
    if not column or candidate.resampling.ci == "none":
        return parts.large, ""
    values = candidate.rows.load().extra[column]
    large = [k for k in parts.large if len(np.unique(values[parts.index(k)])) >= FEWEST]
    few = ", ".join(parts.names[k] for k in parts.large if k not in large)
    if not large:
        raise InputError(f"every slice has fewer than {FEWEST} clusters of {column}: {few}")
    return large, f"Set apart, with fewer than {FEWEST} clusters: {few}." if few else ""


def _by_metric(
    candidate: Candidate,
    requirement: Requirement,
    parts: Partition,
    large: Sequence[int],
    mode: str,
    level: float | None,
) -> list[Check]:
    """Return the check of each slice for a requirement on a metric."""
    rows = candidate.rows.load()
    spec, made = requirement.spec, candidate.sets
    inside = {k: parts.take(rows, k) for k in large}

    def measure(k: int, level: float, resamples: int) -> Estimate:
        """Return the estimate of slice `k`."""
        resampling = replace(candidate.resampling, level=level, resamples=resamples)
        if requirement.sets:
            assert made is not None
            estimates = set_estimates(made.take(parts.index(k)), resampling)
        else:
            assert spec is not None
            estimates = candidate.estimates(candidate.examine([spec], inside[k], resampling))
        estimate = estimates[requirement.subject]
        require_value(requirement, estimate, f"{rows.source}, {requirement.by} {parts.names[k]}")
        return estimate

    resamples = candidate.resampling.resamples
    if mode == "point" or level is None:
        # the interval does not decide here; the table names one level for all
        measured = {k: measure(k, candidate.resampling.level, resamples) for k in large}
        return [_check(requirement, e, mode, None, parts, k) for k, e in measured.items()]
    corrected = stepped(requirement, large, measure, level, resamples)
    checks = []
    for k in large:
        estimate, slice_level = corrected[k]
        check = _check(requirement, estimate, mode, slice_level, parts, k)
        if mode == "prove" and check.decision != "fail":  # a proof needs no correction
            check = _check(requirement, measure(k, level, resamples), mode, level, parts, k)
            if check.decision == "fail":
                check = replace(check, decision="inconclusive", why=UNCORRECTED)
        checks.append(check)
    return checks


def stepped(
    requirement: Requirement, large: Sequence[int], measure: Measure, level: float, resamples: int
) -> dict[int, tuple[Estimate, float]]:
    """Return each slice's estimate, and the level at which it was measured last (Holm 1979)."""
    alpha = 1 - level
    estimates: dict[int, tuple[Estimate, float]] = {}
    left = list(large)
    while left:
        slice_level = 1 - alpha / len(left)
        # a higher level needs more replicates; one slice alone has the requested level
        draws = min(max(resamples, round(TAIL_DRAWS * len(left) / alpha)), MOST_DRAWN)
        draws = resamples if len(left) == 1 else max(resamples, draws)
        draws = max(draws, fewest_resamples(slice_level))
        for k in left:
            estimates[k] = measure(k, slice_level, draws), slice_level
        broken = [k for k in left if _breaks(requirement, estimates[k][0])]
        if not broken:
            break
        left = [k for k in left if k not in broken]
    return estimates


def _breaks(requirement: Requirement, estimate: Estimate) -> bool:
    """Return whether the end of the interval that favours the model breaks the requirement."""
    near = estimate.low if requirement.upper else estimate.high
    return near is not None and not requirement.met(near)


def _by_test(
    candidate: Candidate, requirement: Requirement, parts: Partition, mode: str
) -> list[Check]:
    """Return the check of each slice for a requirement on a p-value, corrected by Holm."""
    whole = candidate.whole()
    name = requirement.test
    p_values = {
        k: candidate.p_values([name], parts.take(whole, k))[requirement.subject]
        for k in parts.large
    }
    for k, estimate in p_values.items():
        require_value(requirement, estimate, f"{whole.source}, {requirement.by} {parts.names[k]}")
    adjusted = holm([float(estimate.value or 0.0) for estimate in p_values.values()])
    return [
        _check(requirement, replace(estimate, value=p_value), mode, None, parts, k)
        for (k, estimate), p_value in zip(p_values.items(), adjusted, strict=True)
    ]


def _check(
    requirement: Requirement,
    estimate: Estimate,
    mode: str,
    level: float | None,
    parts: Partition,
    k: int,
) -> Check:
    """Return the check of slice `k`."""
    check = decide(requirement, estimate, mode, level, int(parts.rows[k]))
    return replace(check, name=parts.names[k], level=level)
