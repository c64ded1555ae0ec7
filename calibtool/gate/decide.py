"""Decide: a number with its interval against a threshold, in one of three modes.

The near end of the interval is the one most favourable to the model, the far end the other. The
excess of a value is how far it lies beyond the threshold: above 0 it violates the requirement,
whether that is an upper or a lower limit.

- `prove`: pass if the far end is within the threshold, fail if the near end violates it, otherwise
  inconclusive.
- `tolerate`: fail if the near end violates the threshold. Otherwise nothing is proven against the
  model and it passes, unless there are too few rows: if they would not detect a violation of
  `Requirement.matters` with 80 % power, it is inconclusive.
- `point`: the measured value decides.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from calibtool.errors import NotAvailableError, UsageError
from calibtool.evaluation.resampling import FEW_ROWS
from calibtool.gate.outcome import Check, Decision
from calibtool.gate.requirement import Requirement
from calibtool.intervals.estimate import Estimate

POWER = 0.8  # the usual power of a planned test (Cohen 1988): one violation in five is missed
_Z_POWER = NormalDist().inv_cdf(POWER)


def decide(
    requirement: Requirement, estimate: Estimate, mode: str, level: float | None, rows: int
) -> Check:
    """Check an estimate against a requirement.

    Args:
        requirement: what is required.
        estimate: what was measured, with its interval at `level` unless the mode is "point".
        mode: "prove", "tolerate" or "point".
        level: level of the interval; None without one.
        rows: the number of rows that were measured.

    Raises NotAvailableError for an estimate without a value, UsageError for a mode that needs an
    interval where the metric has none.

    >>> from calibtool.gate.requirement import parse_requirement
    >>> estimate = Estimate("ece", 0.04, low=0.02, high=0.05, corrected=0.035, error=0.008)
    >>> ece = parse_requirement("ece <= 0.03")
    >>> [decide(ece, estimate, mode, 0.95, 900).decision for mode in ("prove", "tolerate", "point")]
    ['inconclusive', 'pass', 'fail']
    """
    require_value(requirement, estimate)
    assert estimate.value is not None
    # a difference of two biased values is judged by its corrected estimate
    shown = _centre(estimate) if requirement.delta else estimate.value
    margin = 0.0 - _excess(requirement, shown)  # not the negative: JSON would show -0.0
    if requirement.test:
        return Check(
            estimate, _by_value(requirement, shown), margin, _p(requirement, shown), rows=rows
        )
    if mode == "point":
        return Check(estimate, _by_value(requirement, shown), margin, _point(margin), rows=rows)
    unmet = not requirement.met(shown)
    if not math.isfinite(estimate.value) and estimate.better == "nearer" and unmet:
        # a slope or an intercept is infinite where an outcome was not seen, whatever the truth
        why = "the measured value is infinite: these rows show one of the outcomes too seldom"
        return Check(estimate, "inconclusive", margin, why, rows=rows)
    if not math.isfinite(estimate.value):  # more rows cannot make an infinite mean finite
        if mode == "prove" and requirement.met(shown):
            why = "the measured value is infinite and has no interval, so nothing is proven"
            return Check(estimate, "inconclusive", margin, why, rows=rows)
        return Check(estimate, _by_value(requirement, shown), margin, _point(margin), rows=rows)
    if estimate.low is None or estimate.high is None or level is None:
        return _without_interval(requirement, estimate, mode, margin, rows)
    least = detectable(requirement, estimate, level)
    decision, why, needed = (_prove if mode == "prove" else _tolerate)(
        requirement, estimate, shown, least, rows
    )
    smallest = requirement.threshold + (least if requirement.upper else -least)
    ends = requirement.limits
    # none where no violation is that large, nor where the same predictions are compared
    shown_least = smallest if least and ends[0] <= smallest <= ends[1] else None
    return Check(estimate, decision, margin, why, shown_least, rows, needed, level=level)


def require_value(
    requirement: Requirement, estimate: Estimate, source: str = "these predictions"
) -> None:
    """Check that an estimate has a value. Raises NotAvailableError otherwise."""
    if estimate.value is None or math.isnan(estimate.value):
        why = estimate.missing or "not a number"
        raise NotAvailableError(
            f"{requirement.text}: {requirement.subject} could not be computed on {source} ({why}), "
            "so it cannot pass"
        )


def detectable(requirement: Requirement, estimate: Estimate, level: float) -> float:
    """Return the smallest excess that is detected with 80 % power.

    The near end lies `side` from the centre, which itself is normal around the truth: the near end
    exceeds the threshold with 80 % probability if the truth does so by `side` and 0.84 standard
    errors more. The side of an interval that is cut off at 0 is too short; it counts as at least
    that of a normal interval.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    low, high = _ends(estimate)
    error = estimate.error if estimate.error is not None else (high - low) / (2 * z)
    centre = _centre(estimate)
    side = centre - low if requirement.upper else high - centre
    return max(side, z * error) + _Z_POWER * error


def _prove(
    requirement: Requirement, estimate: Estimate, shown: float, least: float, rows: int
) -> tuple[Decision, str, int | None]:
    near, far = bounds(requirement, estimate)
    if requirement.met(far):
        return "pass", f"proven: the whole interval meets it, its far end is {_number(far)}", None
    if not requirement.met(near):
        return "fail", _beyond(requirement, near), None
    centre = _centre(estimate)
    side = abs((far if requirement.met(centre) else near) - centre)
    needed = _scaled(rows, side, abs(_excess(requirement, centre)))
    return "inconclusive", "the interval contains the threshold: neither proven nor refuted", needed


def _tolerate(
    requirement: Requirement, estimate: Estimate, shown: float, least: float, rows: int
) -> tuple[Decision, str, int | None]:
    near, far = bounds(requirement, estimate)
    if not requirement.met(near):
        return "fail", _beyond(requirement, near), None
    if requirement.met(far):
        return (
            "pass",
            f"met by the whole interval: its far end is {_number(far)}",
            None,
        )
    matters = requirement.matters
    if matters is not None and least > matters:
        sign = 1 if requirement.upper else -1
        twice = requirement.threshold + sign * matters
        why = f"too few rows: even a true {_number(twice)} would often go undetected"
        return "inconclusive", why, _scaled(rows, least, matters)
    if requirement.met(shown):
        return "pass", "met", None
    return "pass", "beyond the threshold, but sampling noise can explain it", None


def _without_interval(
    requirement: Requirement, estimate: Estimate, mode: str, margin: float, rows: int
) -> Check:
    if rows < FEW_ROWS:
        why = f"{rows} rows give no interval; at least {FEW_ROWS} are needed"
        return Check(estimate, "inconclusive", margin, why, rows=rows)
    raise UsageError(
        f"{requirement.text}: {requirement.subject} has no interval, which --mode {mode} needs; "
        "--mode point decides by the measured value alone"
    )


def _by_value(requirement: Requirement, value: float) -> Decision:
    return "pass" if requirement.met(value) else "fail"


def _p(requirement: Requirement, value: float) -> str:
    if requirement.met(value):
        return "the test detects no miscalibration"
    return f"the test rejects perfect calibration at {100 * requirement.threshold:g} %"


def _point(margin: float) -> str:
    return "the measured value meets it" if margin >= 0 else "the measured value violates it"


def _beyond(requirement: Requirement, near: float) -> str:
    side = "above" if requirement.upper else "below"
    away = abs(near - requirement.threshold)
    if not away:
        return "violated beyond sampling noise: by the whole interval"
    return f"violated beyond sampling noise: at least {_number(away)} {side} the threshold"


def _ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def bounds(requirement: Requirement, estimate: Estimate) -> tuple[float, float]:
    """Return the end of the interval that is most favourable to the model, and the other."""
    low, high = _ends(estimate)
    return (low, high) if requirement.upper else (high, low)


def _centre(estimate: Estimate) -> float:
    """Return the corrected estimate, or the value where there is none."""
    assert estimate.value is not None
    return estimate.value if estimate.corrected is None else estimate.corrected


def _excess(requirement: Requirement, value: float) -> float:
    """Return how far a value lies beyond the threshold."""
    return (value - requirement.threshold) * (1 if requirement.upper else -1)


def _scaled(rows: int, width: float, wanted: float) -> int | None:
    """Return the number of rows at which an interval that is `width` wide now would be `wanted`
    wide: widths fall with the root of the rows. It is rounded up to two digits; an extrapolation is
    not more precise. None where it would take a million times as many rows."""
    if wanted <= 1e-3 * width:
        return None
    needed = rows * (width / wanted) ** 2
    digits = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return max(math.ceil(needed / digits) * digits, rows + 1)


def _number(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 1e-3 else f"{value:.4f}"
