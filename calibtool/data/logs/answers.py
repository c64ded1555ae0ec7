"""Answers to multiple-choice questions: logits of choices, whose number may vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.data.files.roles import Choice
from calibtool.data.logs.log import Log

UNLABELLED = "unlabelled answers"


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

    Answers without a label are left out, unless labels come from another file or none has one.
    """
    rows = range(len(answers))
    labelled = [row for row in rows if answers[row].labelled]
    counts = dict(left_out)
    kept: Sequence[int] = rows
    if labelled and len(labelled) < len(answers) and not choice.labels_file:
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
    if len(widths) == 1 and not several and all(answer.right is None for answer in chosen):
        named["logits"] = np.array([answer.logits for answer in chosen], dtype=np.float64)
        named["labels"] = [answer.gold[0] if answer.gold else None for answer in chosen]
    else:
        named["confidence"] = np.array([answer.confidence for answer in chosen])
        named["correct"] = [answer.correct for answer in chosen]
    return Log(named, left_out=counts, notes=tuple(told))
