"""Decide: a number with its interval against a threshold, in one of three modes.

All is said of the excess, how far a value lies beyond the threshold: above 0 it breaks the
requirement, whichever way that points.

- `prove`: pass if the interval's far end keeps to the threshold, fail if its near end breaks it,
  otherwise inconclusive.
- `tolerate`: fail if the near end breaks it. Otherwise nothing is proven against the model and it
  passes, unless the rows are so few that the gate is blind: they would not have found with 80 %
  power even a true value twice as far as is allowed. Then it is inconclusive.
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

POWER = 0.8
_Z_POWER = NormalDist().inv_cdf(POWER)


def decide(
    requirement: Requirement, estimate: Estimate, mode: str, level: float | None, rows: int
) -> Check:
    """Hold an estimate to a requirement.

    Args:
        estimate: with its interval at `level`, unless the mode is point.
        level: of the interval; None where there is none.
        rows: that it was measured on.

    >>> from calibtool.gate.requirement import parse_requirement
    >>> found = Estimate("ece", 0.04, 0.02, 0.05, unbiased=0.035, error=0.008)
    >>> ece = parse_requirement("ece <= 0.03")
    >>> [decide(ece, found, mode, 0.95, 900).decision for mode in ("prove", "tolerate", "point")]
    ['inconclusive', 'pass', 'fail']
    """
    require_value(requirement, estimate)
    assert estimate.value is not None
    shown = _centre(estimate) if requirement.delta else estimate.value
    margin = 0.0 - _excess(requirement, shown)  # and never -0
    if requirement.spec is None:
        return Check(
            estimate, _plain(requirement, shown), margin, _p(requirement, shown), rows=rows
        )
    if mode == "point":
        return Check(estimate, _plain(requirement, shown), margin, _point(margin), rows=rows)
    if not math.isfinite(estimate.value):  # no sample of rows takes an infinite mean back
        return Check(estimate, _plain(requirement, shown), margin, _point(margin), rows=rows)
    if estimate.low is None or estimate.high is None or level is None:
        return _without_interval(requirement, estimate, mode, margin, rows)
    least = detectable(requirement, estimate, level)
    decision, why, needed = (_prove if mode == "prove" else _tolerate)(
        requirement, estimate, shown, least, rows
    )
    found = requirement.threshold + (least if requirement.upper else -least)
    return Check(estimate, decision, margin, why, found, rows, needed, level=level)


def require_value(
    requirement: Requirement, estimate: Estimate, source: str = "these predictions"
) -> None:
    """An estimate that has a value; NotAvailableError otherwise."""
    if estimate.value is None or math.isnan(estimate.value):
        why = estimate.missing or "not a number"
        raise NotAvailableError(
            f"{requirement.text}: {requirement.subject} could not be computed on {source} ({why}), "
            "so it cannot pass"
        )


def detectable(requirement: Requirement, estimate: Estimate, level: float) -> float:
    """The excess that the lower bound finds with 80 % power: what the interval takes on that side,
    and 0.84 standard errors."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    low, high = _ends(estimate)
    error = estimate.error if estimate.error is not None else (high - low) / (2 * z)
    centre = _centre(estimate)
    side = centre - low if requirement.upper else high - centre
    return max(side, z * error) + _Z_POWER * error


def _prove(
    requirement: Requirement, estimate: Estimate, shown: float, least: float, rows: int
) -> tuple[Decision, str, int | None]:
    near, far = _bounds(requirement, estimate)
    if requirement.met(far):
        return "pass", f"proven: even {_number(far)} keeps to it", None
    if not requirement.met(near):
        return "fail", _beyond(requirement, near), None
    centre = _centre(estimate)
    side = abs((far if requirement.met(centre) else near) - centre)
    needed = _scaled(rows, side, abs(_excess(requirement, centre)))
    return "inconclusive", "the interval holds the threshold: neither proven nor refuted", needed


def _tolerate(
    requirement: Requirement, estimate: Estimate, shown: float, least: float, rows: int
) -> tuple[Decision, str, int | None]:
    near, far = _bounds(requirement, estimate)
    if not requirement.met(near):
        return "fail", _beyond(requirement, near), None
    if requirement.met(far):
        return "pass", f"met for sure: even {_number(far)} keeps to it", None
    matters = requirement.matters
    if matters is not None and least > matters:
        sign = 1 if requirement.upper else -1
        twice = requirement.threshold + sign * matters
        why = f"too few rows: they would hardly have shown a true {_number(twice)} either"
        return "inconclusive", why, _scaled(rows, least, matters)
    if requirement.met(shown):
        return "pass", "met", None
    return "pass", "unlucky rather than worse: chance alone may explain the excess", None


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


def _plain(requirement: Requirement, value: float) -> Decision:
    return "pass" if requirement.met(value) else "fail"


def _p(requirement: Requirement, value: float) -> str:
    if requirement.met(value):
        return "the test sees no miscalibration"
    return f"the test rejects perfect calibration at {100 * requirement.threshold:g} %"


def _point(margin: float) -> str:
    return "the measured value keeps to it" if margin >= 0 else "the measured value breaks it"


def _beyond(requirement: Requirement, near: float) -> str:
    side = "above" if requirement.upper else "below"
    away = abs(near - requirement.threshold)
    if not away:
        return "worse, not unlucky: the whole interval breaks it"
    return f"worse, not unlucky: at least {_number(away)} {side} the threshold"


def _ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def _bounds(requirement: Requirement, estimate: Estimate) -> tuple[float, float]:
    """The end of the interval that is kindest to the model, and the one that is not."""
    low, high = _ends(estimate)
    return (low, high) if requirement.upper else (high, low)


def _centre(estimate: Estimate) -> float:
    assert estimate.value is not None
    return estimate.value if estimate.unbiased is None else estimate.unbiased


def _excess(requirement: Requirement, value: float) -> float:
    return (value - requirement.threshold) * (1 if requirement.upper else -1)


def _scaled(rows: int, width: float, wanted: float) -> int | None:
    """Rows at which an interval as wide as `width` is as wide as `wanted`: widths go by the root
    of the rows. Two digits are all that it is good for."""
    if wanted <= 1e-3 * width:
        return None
    needed = rows * (width / wanted) ** 2
    digits = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return max(math.ceil(needed / digits) * digits, rows + 1)


def _number(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 1e-3 else f"{value:.4f}"
