"""Candidate: a calibrator as `select` measures it, and the choice among several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

NOTHING = "nothing"
SCORES = ("nll", "brier")  # that rank


@dataclass(frozen=True)
class Candidate:
    """A calibrator, measured on rows that it was not fitted on.

    Attributes:
        method: name of the calibrator, or "nothing".
        numbers: how many numbers the fitted calibrator holds; fewer is simpler.
        score: mean of the score that ranks.
        behind: mean score minus that of the best; 0 for the best.
        low, high: paired interval of `behind`; None where the score is infinite.
        error: standard error of `behind`; None where the score is infinite.
        nll, brier, accuracy, ece, classwise_ece: metrics of all rows.
        flips: share of rows whose predicted class changed.
        ties: share of the distinct confidences (with two classes, probabilities of class 1) that
            became equal to others.
        fit_seconds, apply_seconds: median over the folds.
        failed: why it could not be fitted, and all numbers are None; "" otherwise.
        worse: the proper scores that are worse than without a calibrator beyond chance: "nll",
            "brier", "nll, brier" or "".
        phi: the score without a calibrator minus `score`, above 0 where it helps (CalArena 2026,
            arXiv 2605.30188); None where either is infinite.
        folds: how many folds it was measured on, where it left a race (`race.py`) before the last;
            None where it was measured on all rows. Its `score` is then that of the best plus
            `behind`, on the rows of these folds, and the metrics are those of these rows.
    """

    method: str
    numbers: int | None = None
    score: float | None = None
    behind: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None
    nll: float | None = None
    brier: float | None = None
    accuracy: float | None = None
    ece: float | None = None
    classwise_ece: float | None = None
    flips: float | None = None
    ties: float | None = None
    fit_seconds: float | None = None
    apply_seconds: float | None = None
    failed: str = ""
    worse: str = ""
    phi: float | None = None
    folds: int | None = None


def choose(
    candidates: Sequence[Candidate], rank_by: str, zeros: Collection[str] = ()
) -> tuple[str, str]:
    """Choose the simplest candidate within one standard error of the best.

    Args:
        candidates: the candidates, the best first.
        rank_by: "nll" or "brier".
        zeros: names of those whose score is finite by luck: they give probabilities of exactly 0.
            They are chosen only if there is no other near the best.

    Returns its name, and the reason in words.
    """
    best = candidates[0]
    near = [
        c
        for c in candidates
        if c.behind is not None and c.error is not None and c.behind <= c.error
    ]
    near = [best, *near]
    safe = [c for c in near if c.method not in zeros] or near
    simplest, of_all = (min(some, key=_simplest_first) for some in (safe, near))
    why = _reason(candidates, simplest, rank_by, near)
    if of_all is not simplest:
        why += (
            f" {of_all.method} is simpler and as near, but leaves probabilities of exactly 0: the "
            "first row that proves one wrong has an infinite NLL."
        )
    return simplest.method, why


def _simplest_first(candidate: Candidate) -> tuple[int, float]:
    """Return what candidates near the best are ordered by."""
    return candidate.numbers or 0, candidate.behind or 0


def _reason(
    candidates: Sequence[Candidate], simplest: Candidate, rank_by: str, near: Sequence[Candidate]
) -> str:
    """Return the reason for a choice in words."""
    unit = "nats" if rank_by == "nll" else "of Brier score"
    best = candidates[0]
    assert best.numbers is not None
    if simplest is best:
        others = "alone" if len(candidates) == 1 else ""
        if not others and min(near, key=_simplest_first) is best:
            others = "and nothing simpler is within one standard error of it"
        return f"{best.method} has the best {rank_by}{', ' if others else ''}{others}."
    assert simplest.behind is not None
    assert simplest.error is not None
    numbers = "1 number" if simplest.numbers == 1 else f"{simplest.numbers:,} numbers"
    return (
        f"{simplest.method}, {numbers}, is {simplest.behind:.2g} {unit} behind {best.method}, "
        f"{best.numbers:,} numbers: within one standard error ({simplest.error:.2g})."
    )
