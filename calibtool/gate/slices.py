"""A requirement held in every slice.

That a slice breaks it is only said after Holm's correction (1979) for the number of slices: of m
open slices each bound is taken at 1/m of the error rate, those that break the requirement are set
aside, and the rest is looked at again with what they leave. So the chance of stopping a model
whose slices all keep to it is that of a single requirement. To prove it of every slice, each has to
be proven at the full error rate, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.clusters import FEWEST
from calibtool.data.slicing import Partition, partition
from calibtool.errors import InputError
from calibtool.gate.candidate import Candidate, loaded, named
from calibtool.gate.decide import decide, require_value
from calibtool.gate.outcome import Check, Verdict
from calibtool.gate.requirement import Requirement
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.multiple import holm

MOST_DRAWN = 10_000  # replicates of a slice, whatever the number of slices
_ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}

# a slice, the level, the replicates -> its estimate
Look = Callable[[int, float, int], Estimate]


def sliced(subject: Candidate, requirement: Requirement, mode: str, level: float | None) -> Verdict:
    """A requirement with `by`."""
    rows = loaded(subject.rows)
    whole = subject.whole()
    parts = partition(whole, named(requirement.by, rows))
    if not parts.large:
        raise InputError(f"{whole.source}: {requirement.text}: {parts.apart}")
    few = ""
    if requirement.test:
        held = _by_test(subject, requirement, parts, mode)
    else:
        large, few = _enough(subject, parts)
        held = _by_metric(subject, requirement, parts, large, mode, level)
    held.sort(key=lambda one: (_ORDER[one.decision], one.margin))
    worst = held[0]
    if len(held) > 1:
        failed = sum(one.decision == "fail" for one in held)
        counted = f"{failed} of {len(held)} slices" if failed else f"{len(held)} slices"
        by_holm = f"; its interval: {100 * worst.level:.4g} %" if worst.level else ""
        worst = replace(worst, why=f"{worst.why} (the worst of {counted}{by_holm})")
    note = " ".join(text for text in (parts.note, parts.apart, few) if text)
    return Verdict(requirement, worst, tuple(held), note)


def _enough(subject: Candidate, parts: Partition) -> tuple[list[int], str]:
    """The slices that have clusters enough to be resampled, and which have not."""
    column = subject.options.get("cluster")
    if not column or subject.options.get("ci") == "none":
        return parts.large, ""
    values = loaded(subject.rows).extra[column]
    large = [k for k in parts.large if len(np.unique(values[parts.index(k)])) >= FEWEST]
    few = ", ".join(parts.names[k] for k in parts.large if k not in large)
    if not large:
        raise InputError(f"every slice has fewer than {FEWEST} clusters of {column}: {few}")
    return large, f"Set apart, since of fewer than {FEWEST} clusters: {few}." if few else ""


def _by_metric(
    subject: Candidate,
    requirement: Requirement,
    parts: Partition,
    large: Sequence[int],
    mode: str,
    level: float | None,
) -> list[Check]:
    rows = loaded(subject.rows)
    spec = requirement.spec
    assert spec is not None
    inside = {k: parts.take(rows, k) for k in large}

    def look(k: int, level: float, resamples: int) -> Estimate:
        found = subject.examine([spec], inside[k], level=level, resamples=resamples)
        estimate = subject.estimates(found)[requirement.subject]
        require_value(requirement, estimate, f"{rows.source}, {requirement.by} {parts.names[k]}")
        return estimate

    resamples = int(subject.options.get("resamples", 1000))
    if mode == "point" or level is None:
        seen = {k: look(k, 0.95, resamples) for k in large}
        return [_held(requirement, one, mode, None, parts, k) for k, one in seen.items()]
    found = _stepped(requirement, large, look, level, resamples)
    held = []
    for k in large:
        estimate, own = found[k]
        one = _held(requirement, estimate, mode, own, parts, k)
        if mode == "prove" and one.decision != "fail":  # what is proven needs no correction
            one = _held(requirement, look(k, level, resamples), mode, level, parts, k)
            if one.decision == "fail":
                one = replace(one, decision="inconclusive", why="breaks it, but not after Holm")
        held.append(one)
    return held


def _stepped(
    requirement: Requirement, large: Sequence[int], look: Look, level: float, resamples: int
) -> dict[int, tuple[Estimate, float]]:
    """Each slice's estimate at the level at which it was looked at last (Holm 1979)."""
    alpha = 1 - level
    found: dict[int, tuple[Estimate, float]] = {}
    still = list(large)
    while still:
        own = 1 - alpha / len(still)
        enough = min(max(resamples, round(40 * len(still) / alpha)), MOST_DRAWN)
        enough = resamples if len(still) == 1 else max(resamples, enough)
        for k in still:
            found[k] = look(k, own, enough), own
        broken = [k for k in still if _breaks(requirement, found[k][0])]
        if not broken:
            break
        still = [k for k in still if k not in broken]
    return found


def _breaks(requirement: Requirement, estimate: Estimate) -> bool:
    near = estimate.low if requirement.upper else estimate.high
    return near is not None and not requirement.met(near)


def _by_test(
    subject: Candidate, requirement: Requirement, parts: Partition, mode: str
) -> list[Check]:
    """p-values, adjusted for the number of slices."""
    whole = subject.whole()
    name = requirement.test
    found = {
        k: subject.p_values([name], parts.take(whole, k))[requirement.subject] for k in parts.large
    }
    for k, estimate in found.items():
        require_value(requirement, estimate, f"{whole.source}, {requirement.by} {parts.names[k]}")
    adjusted = holm([float(one.value or 0.0) for one in found.values()])
    return [
        _held(requirement, replace(one, value=p_value), mode, None, parts, k)
        for (k, one), p_value in zip(found.items(), adjusted, strict=True)
    ]


def _held(
    requirement: Requirement,
    estimate: Estimate,
    mode: str,
    level: float | None,
    parts: Partition,
    k: int,
) -> Check:
    held = decide(requirement, estimate, mode, level, int(parts.rows[k]))
    return replace(held, name=parts.names[k], level=level)
