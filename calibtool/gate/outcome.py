"""What a gate decides: a verdict a requirement, and the outcome of all."""

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
        margin: how much the measured value has to spare; below 0, how far it is beyond.
        why: what decided, in words.
        detectable: the true value, beyond the threshold, that so many rows find with 80 % power; of
            no p-value.
        rows: how many rows there were.
        needed: of an inconclusive one, about how many rows would decide it; None if none would.
        name: of the slice, or "".
        level: of its interval: higher in a slice, by Holm's correction; None without.
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
    """A requirement and what became of it.

    Attributes:
        held: the number that decided: of all rows, or of the worst slice.
        slices: every slice, the worst first; empty without `by`.
        note: slices that were set apart or joined, or how a baseline was compared; or "".
    """

    requirement: Requirement
    held: Check
    slices: tuple[Check, ...] = ()
    note: str = ""

    @property
    def decision(self) -> Decision:
        return self.held.decision

    @property
    def estimate(self) -> Estimate:
        return self.held.estimate

    @property
    def passed(self) -> bool:
        return self.decision == "pass"


@dataclass(frozen=True)
class Outcome(Shown):
    """Every verdict, and what they rest on.

    Attributes:
        verdicts: in the order of the requirements.
        report: the metrics of the predictions.
        mode: prove, tolerate or point.
        baseline: what was compared with, in words, or "".
        inconclusive: what an inconclusive verdict counts as; "" for itself.
    """

    verdicts: tuple[Verdict, ...]
    report: Report
    mode: str = "tolerate"
    baseline: str = ""
    inconclusive: Literal["", "pass", "fail"] = ""

    @property
    def alpha(self) -> float | None:
        """The share of data sets in which one bound is wrong: half of what an interval leaves."""
        level = self.report.level
        return None if level is None or self.mode == "point" else round((1 - level) / 2, 9)

    def counts_as(self, verdict: Verdict) -> Decision:
        """The decision, with an inconclusive one taken as was asked."""
        if verdict.decision == "inconclusive" and self.inconclusive:
            return self.inconclusive
        return verdict.decision

    @property
    def decision(self) -> Decision:
        """Fail if any does, else inconclusive if any is."""
        all_ = {self.counts_as(verdict) for verdict in self.verdicts}
        return "fail" if "fail" in all_ else "inconclusive" if "inconclusive" in all_ else "pass"

    @property
    def passed(self) -> bool:
        """Whether every requirement was met."""
        return self.decision == "pass"
