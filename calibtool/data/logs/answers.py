"""Answers to multiple-choice questions: logits of choices, whose number may vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.data.files.roles import Choice
from calibtool.data.logs.log import Log
from calibtool.data.logs.typed import names_outcome, names_score

UNLABELLED = "unlabelled answers"
UNSCORED = "answers without loglikelihoods of choices"
# metrics that tell whether a generated answer is right; the first that a file has
OUTCOMES = ("exact_match", "acc", "em", "extractive_match", "prompt_level_strict_acc", "pass@1")


@dataclass(frozen=True, slots=True)
class Answer:
    """One question's answer.

    Attributes:
        logits: one number per choice.
        gold: the positions of the right choices; empty if there is no label.
        right: whether the answer is right, where the log tells only that.
    """

    logits: Sequence[float]
    gold: Sequence[int] = ()
    right: bool | None = None

    @property
    def labelled(self) -> bool:
        """Whether it is known if the answer is right."""
        return bool(self.gold) or self.right is not None

    @property
    def predicted(self) -> int:
        """The position of the largest logit, the first of several."""
        return max(range(len(self.logits)), key=self.logits.__getitem__)

    @property
    def correct(self) -> bool | None:
        """Whether the predicted choice is right; None if there is no label."""
        if self.right is not None:
            return self.right
        return self.predicted in self.gold if self.gold else None

    @property
    def confidence(self) -> float:
        """The probability of the predicted choice."""
        values = np.asarray(self.logits, dtype=np.float64)
        return float(1 / np.exp(values - values.max()).sum())


def answers_log(
    answers: Sequence[Answer],
    columns: Mapping[str, Sequence[Any]],
    choice: Choice,
    left_out: Mapping[str, int],
    notes: Sequence[str],
) -> Log:
    """Return answers as a log: classes by position if all have the same number of choices, else
    pairs of confidence and correct. `columns` are of the same rows.

    Answers without a label are left out, unless the user named labels or none has one. Where he
    named outcomes, rows are pooled as well.
    """
    rows = range(len(answers))
    labelled = [row for row in rows if answers[row].labelled]
    counts = dict(left_out)
    kept: Sequence[int] = rows
    if labelled and len(labelled) < len(answers) and not names_outcome(choice):
        kept = labelled
        counts[UNLABELLED] = len(answers) - len(labelled)
    chosen = [answers[row] for row in kept]
    named: dict[str, Any] = {
        name: [values[row] for row in kept] for name, values in columns.items()
    }
    widths = Counter(len(answer.logits) for answer in chosen)
    told = [*notes]
    if len(widths) > 1:
        told.append(
            f"the number of choices varies from {min(widths)} to {max(widths)}: rows are pooled as "
            "confidence and correct; --by options shows each number"
        )
    several = sum(len(answer.gold) > 1 for answer in chosen)
    if several:
        told.append(
            f"{several:,} of {len(chosen):,} rows have several right choices: rows are pooled as "
            "confidence and correct, and any of them is correct"
        )
    known = any(answer.right is not None for answer in chosen) or choice.correct is not None
    if len(widths) == 1 and not several and not known:
        named["logits"] = np.array([answer.logits for answer in chosen], dtype=np.float64)
        named["labels"] = [answer.gold[0] if answer.gold else None for answer in chosen]
    else:
        named["confidence"] = np.array([answer.confidence for answer in chosen])
        if choice.correct is None:
            named["correct"] = [answer.correct for answer in chosen]
    return Log(named, left_out=counts, notes=tuple(told))


def outcomes_log(
    columns: Mapping[str, Any],
    correct: Sequence[bool | None],
    choice: Choice,
    left_out: Mapping[str, int],
    notes: Sequence[str],
    why: str,
) -> Log:
    """Return rows that have no scores of their own as a log, and `why` as a note of it.

    They have a column "correct" unless the user named one, or one of them has no outcome.
    """
    named, told = dict(columns), [*notes]
    if choice.correct is None and None not in correct:
        named["correct"] = list(correct)
    if not names_score(choice):
        told.append(
            f"{why}: nothing can serve as a confidence, and only the accuracy can be told; if a "
            "field of the log holds a confidence, name it with --confidence PATH"
        )
    if choice.correct is None and "correct" not in named:
        told.append(
            "no metric of 0 and 1 tells which answers are right; name one with --correct METRIC"
        )
    return Log(named, left_out=left_out, notes=tuple(told))


def outcome(
    columns: Mapping[str, Sequence[Any]], rows: int, prefix: str = ""
) -> Sequence[bool | None]:
    """Return whether answers are right by the first metric of only 0 and 1; None without one."""
    for name in OUTCOMES:
        values = columns.get(prefix + name)
        if values and all(value in (0, 1) for value in values):  # None is neither
            return [bool(value) for value in values]
    return [None] * rows


def differing(
    shown: str, metric: str, answers: Sequence[Answer], said: Sequence[float | None]
) -> list[str]:
    """Return a note if a metric in the log is another than follows from the answers."""
    apart = sum(
        answer.labelled and value is not None and float(bool(answer.correct)) != value
        for answer, value in zip(answers, said, strict=True)
    )
    if not apart:
        return []
    note = (
        f"{shown}: {metric} of the log differs in {apart:,} of {len(answers):,} rows from what the "
        "loglikelihoods and the right choices say, which are read"
    )
    return [note]
