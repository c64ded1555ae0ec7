"""Outcome: one verdict per requirement, and the decision that they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from calibtool.evaluation.report import Report
from calibtool.gate.requirement import Requirement
from calibtool.intervals.estimate import Estimate
from calibtool.types import Shown

Decision: TypeAlias = Literal["pass", "fail", "inconclusive"]
MODES = ("prove", "tolerate", "point")


@dataclass(frozen=True)
class Check:
    """A number held to a threshold.

    Attributes:
        estimate: what was measured.
        decision: pass, fail or inconclusive.
        margin: distance of the measured value from the threshold; negative beyond it.
        why: the reason for the decision, in words.
        detectable: the smallest true value beyond the threshold that this many rows detect with
            80 % power; None for p-values, and where it would lie outside of the metric's range.
        rows: the number of rows.
        needed: for an inconclusive check, about how many rows would decide it; None if no number
            would.
        name: the name of the slice, or "".
        level: the level of the interval, which Holm's correction raises in slices; None without an
            interval.
    """

    estimate: Estimate
    decision: Decision
    margin: float
    why: str
    detectable: float | None = None
    rows: int = 0
    needed: int | None = None
    name: str = ""
    level: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A requirement and its decision.

    Attributes:
        requirement: what was required.
        held: the check that decided: of all rows, or of the worst slice.
        slices: every slice, the worst first; empty without `by`.
        note: which slices were left out or joined, or how a baseline was compared; or "".
    """

    requirement: Requirement
    held: Check
    slices: tuple[Check, ...] = ()
    note: str = ""

    @property
    def decision(self) -> Decision:
        """Pass, fail or inconclusive."""
        return self.held.decision

    @property
    def estimate(self) -> Estimate:
        """The estimate that decided."""
        return self.held.estimate

    @property
    def passed(self) -> bool:
        """Whether the requirement was met."""
        return self.decision == "pass"


@dataclass(frozen=True)
class Outcome(Shown):
    """Every verdict, and the report that they are based on.

    Attributes:
        verdicts: in the order of the requirements.
        report: the metrics of the predictions.
        mode: prove, tolerate or point.
        baseline: the comparison with a baseline, in words, or "".
        inconclusive: what an inconclusive verdict counts as; "" for itself.
    """

    verdicts: tuple[Verdict, ...]
    report: Report
    mode: str = "tolerate"
    baseline: str = ""
    inconclusive: Literal["", "pass", "fail"] = ""

    @property
    def alpha(self) -> float | None:
        """The error rate of one bound: half of what the interval leaves out. None without
        intervals."""
        level = self.report.level
        return None if level is None or self.mode == "point" else round((1 - level) / 2, 9)

    def counts_as(self, verdict: Verdict) -> Decision:
        """Return the decision, with an inconclusive one replaced by `inconclusive`."""
        if verdict.decision == "inconclusive" and self.inconclusive:
            return self.inconclusive
        return verdict.decision

    @property
    def decision(self) -> Decision:
        """Fail if any verdict fails, otherwise inconclusive if any is, otherwise pass."""
        decisions = {self.counts_as(verdict) for verdict in self.verdicts}
        if "fail" in decisions:
            return "fail"
        return "inconclusive" if "inconclusive" in decisions else "pass"

    @property
    def passed(self) -> bool:
        """Whether every requirement was met."""
        return self.decision == "pass"
