"""Requirement: "ece <= 0.03", "delta(nll) <= 0.005" or "ece <= 0.05 by country", parsed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from calibtool.analysis.significance.registry import TESTS
from calibtool.decisions.limit import PATTERN, RELATIONS, limit_of
from calibtool.errors import UsageError, near
from calibtool.metrics.spec import Spec, parse

_REQUIREMENT = re.compile(PATTERN + r"(?:\sby\s+(.+?))?\s*", re.DOTALL)
_WORST = re.compile(r"worst\s*\(\s*(.+?)\s+by\s+([^()]+?)\s*\)", re.DOTALL)
_OF = re.compile(r"(delta|p|e)\s*\(\s*(.+?)\s*\)", re.DOTALL)

# of prediction sets: what is required of them -> its range
SETS = {"set-coverage": (0.0, 1.0), "set-size": (0.0, math.inf)}
# what there can be evidence of over time -> what `monitor` tests the periods against
EVIDENCE = {"change": "first", "miscalibration": "calibrated"}


@dataclass(frozen=True)
class Requirement:
    """A subject, a relation and a threshold.

    Attributes:
        relation, threshold: such as "<=" and 0.03.
        spec: the metric; None for the p-value of a test.
        delta: whether the subject is the metric minus that of the baseline.
        test: the test of perfect calibration whose p-value is the subject, or "".
        evidence: "change" or "miscalibration" if the subject is its e-value over time, or "".
        sets: "set-coverage" or "set-size" if the subject is that of prediction sets, or "".
        by: the columns in whose slices it is checked one by one, or "".
        worst: whether it was written as worst(... by ...), which means the same but is shown as one
            number.
        place: the file and the line that it is written in, or None.
    """

    relation: str
    threshold: float
    spec: Spec | None = None
    delta: bool = False
    test: str = ""
    evidence: str = ""
    sets: str = ""
    by: str = ""
    worst: bool = False
    place: tuple[str, int] | None = None

    @property
    def subject(self) -> str:
        """What is measured in a slice or on all rows: "ece", "delta(nll)", "p(cox)"."""
        if self.evidence:
            return f"e({self.evidence})"
        if self.sets:
            return self.sets
        if self.spec is None:
            return f"p({self.test})"
        return f"delta({self.spec.name})" if self.delta else self.spec.name

    @property
    def text(self) -> str:
        """The requirement as it is written."""
        limit = f"{self.relation} {self.threshold:g}"
        if self.worst:
            return f"worst({self.subject} by {self.by}) {limit}"
        return f"{self.subject} {limit}{f' by {self.by}' if self.by else ''}"

    @property
    def upper(self) -> bool:
        """Whether the threshold is an upper limit."""
        return self.relation in ("<=", "<")

    def met(self, value: float) -> bool:
        """Return whether a value meets the requirement."""
        return bool(RELATIONS[self.relation](value, self.threshold))

    @property
    def matters(self) -> float | None:
        """The excess that a gate has to detect: as much again as is allowed.

        For "ece <= 0.03" that is 0.03, a true ECE of 0.06; for "accuracy >= 0.9" it is 0.1, twice
        the share of errors. It ends where the range of the metric does: "ece <= 0.6" has to detect
        an ECE of 1. None where nothing is allowed, since twice nothing is no measure.

        >>> round(parse_requirement("accuracy >= 0.9").matters, 9)
        0.1
        >>> parse_requirement("ece <= 0.6").matters
        0.4
        """
        if self.spec is None and not self.sets:
            return None
        share = not self.upper and not self.delta and 0 < self.threshold < 1
        excess = 1 - self.threshold if share else abs(self.threshold)
        least, most = self.limits
        room = most - self.threshold if self.upper else self.threshold - least
        return min(excess, room) or None

    @property
    def limits(self) -> tuple[float, float]:
        """The range of the subject."""
        if self.sets:
            return SETS[self.sets]
        if self.spec is None:
            return 0.0, math.inf if self.evidence else 1.0
        least, most = self.spec.limits
        return (least - most, most - least) if self.delta else (least, most)


def parse_requirement(text: str) -> Requirement:
    """Parse a requirement. Raises UsageError.

    >>> parse_requirement("ece(bins=20) <= 3 %").threshold
    0.03
    >>> parse_requirement("worst(ece by class) <= 0.1").by
    'class'
    """
    match = _REQUIREMENT.fullmatch(text)
    if not match:
        raise UsageError(
            f"requirement {text!r} must have the form METRIC <= NUMBER (or <, >=, >), "
            "such as 'ece <= 0.03', 'delta(nll) <= 0.005' or 'ece <= 0.05 by country'"
        )
    subject, relation, number, percent, by = match.groups()
    threshold = limit_of(number, percent, f"requirement {text!r}")
    worst = _WORST.fullmatch(subject)
    if worst and by:
        raise UsageError(f"requirement {text!r}: worst(... by {worst[2]}) has its own `by`")
    if worst:
        subject, by = worst.groups()
    elif subject.startswith("worst"):
        raise UsageError(f"requirement {text!r}: worst needs slices: 'worst(ece by class) <= 0.1'")
    of = _OF.fullmatch(subject)
    if of and of[1] == "p":
        _require_test(text, of[2], relation)
        requirement = Requirement(relation, threshold, test=of[2], by=by or "", worst=bool(worst))
        return _possible(requirement, text, number, percent)
    if of and of[1] == "e":
        _require_evidence(text, of[2], relation, threshold, by)
        return Requirement(relation, threshold, evidence=of[2])
    if subject in SETS:
        requirement = Requirement(relation, threshold, sets=subject, by=by or "", worst=bool(worst))
        return _possible(requirement, text, number, percent)
    if of and of[2] in SETS:
        raise UsageError(
            f"requirement {text!r}: there is no delta of {of[2]}, which is held to a number"
        )
    delta = of is not None
    spec = parse(of[2] if of else subject)
    requirement = Requirement(relation, threshold, spec, delta, by=by or "", worst=bool(worst))
    return _possible(requirement, text, number, percent)


def _possible(requirement: Requirement, text: str, number: str, percent: str) -> Requirement:
    """Return a requirement that some value meets and some value does not; raise UsageError for any
    other, with what was probably meant.

    Both ends of the range meet a requirement that all values meet, neither meets one that no value
    meets.
    """
    limits = requirement.limits
    meets = [requirement.met(end) for end in limits]
    if any(meets) and not all(meets):
        return requirement
    why = "so this can never fail" if any(meets) else "so nothing can meet this"
    raise UsageError(
        f"requirement {text!r}: {requirement.subject} lies in {_span(limits)}, {why}"
        f"{_meant(requirement, number, percent)}"
    )


def _meant(requirement: Requirement, number: str, percent: str) -> str:
    """Return what was probably meant by a threshold outside of the range: a percentage, or the
    number without its sign; "" where neither is likely."""
    value, limits = float(number), requirement.limits
    # 1.2 is hardly 1.2 %: a lower limit of few per cent asks for nothing
    if not percent and (1 if requirement.upper else 2) < abs(value) < 100 * limits[1]:
        return f"; did you mean {number} %?"
    if value < 0 <= limits[0] and -requirement.threshold < limits[1]:
        return f"; did you mean {number.lstrip('-')}{' %' if percent else ''}?"
    return ""


def _span(limits: tuple[float, float]) -> str:
    """Return a range as text.

    >>> _span((0.0, 1.0)), _span((0.0, math.inf))
    ('[0, 1]', '[0, inf)')
    """
    least, most = limits
    left = "(-inf" if math.isinf(least) else f"[{least:g}"
    return f"{left}, {'inf)' if math.isinf(most) else f'{most:g}]'}"


def _require_evidence(text: str, name: str, relation: str, threshold: float, by: str) -> None:
    if name not in EVIDENCE:
        known = " or ".join(f"e({evidence})" for evidence in EVIDENCE)
        raise UsageError(f"requirement {text!r}: there is no e({name}); use {known}")
    if relation not in ("<=", "<"):
        raise UsageError(
            f"requirement {text!r}: a large e-value is evidence against the model; require "
            f"e({name}) < 20"
        )
    if threshold <= 1:
        raise UsageError(
            f"requirement {text!r}: the threshold is 1 / (probability of ever failing a calibrated "
            f"model), so it must be above 1; e({name}) < 20 is 5 %"
        )
    if by:
        raise UsageError(
            f"requirement {text!r}: evidence over time is for all rows and cannot be combined "
            "with slices"
        )


def _require_test(text: str, name: str, relation: str) -> None:
    if name not in TESTS:
        raise UsageError(f"requirement {text!r}: there is no test {name!r}{near(name, TESTS)}")
    if relation not in (">=", ">"):
        raise UsageError(
            f"requirement {text!r}: a small p-value is evidence against the model; require "
            f"p({name}) >= 0.01"
        )
