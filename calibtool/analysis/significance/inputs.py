"""What is tested: the chosen tests, the view, a score a row, and whole rows where they fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from calibtool.analysis.significance.registry import TESTS
from calibtool.analysis.significance.result import Test, WholeRows
from calibtool.data.blocks import unit
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable
from calibtool.data.rows import Rows, reduce_rows, to_probs
from calibtool.errors import InputError, UsageError
from calibtool.types import Array, Progress

_WHOLE = 1 << 27  # probabilities that are kept in memory


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was read.

    Attributes:
        score, outcome: (N,) of the view.
        weights: (N,), or None where there are none or they are all the same.
        weighted: whether there are any.
        whole: the rows, or None where no test looks at them or they do not fit.
    """

    score: Array
    outcome: Array
    weights: Array | None
    weighted: bool
    whole: WholeRows | None


def choose(tests: str | Iterable[str] | None, predictions: Readable) -> list[Test]:
    """The tests of these names, in the order of the table; of None, all that fit the data."""
    if tests is None:
        many = (predictions.classes or 0) > 2
        return [test for name, test in TESTS.items() if many or name != "class-consistency"]
    names = tests.split(",") if isinstance(tests, str) else list(tests)
    names = [name.strip() for name in names]
    unknown = [name for name in names if name not in TESTS]
    if predictions.classes is None and "class-consistency" in names:
        raise UsageError(f"{predictions.source}: class-consistency needs whole probability rows")
    if unknown or not names:
        what = f"{unknown[0]!r}" if unknown else "none"
        raise UsageError(f"--tests {what}: there are {', '.join(TESTS)}")
    return [test for name, test in TESTS.items() if name in names]


def settle(view: str, predictions: Readable) -> str:
    """The view, top or positive."""
    if view not in ("auto", "top", "positive"):
        raise UsageError(f"--view {view!r}: there are auto, top, positive")
    if view == "positive" and predictions.classes != 2:
        there = "confidences" if predictions.classes is None else f"{predictions.classes} classes"
        raise UsageError(
            f"{predictions.source}: the positive view needs two classes, there are {there}"
        )
    if view != "auto":
        return view
    return "positive" if predictions.one_column else "top"


def read(predictions: Readable, view: str, *, whole: bool, progress: Progress) -> Inputs:
    """One pass; `whole` asks for whole rows."""
    keep = whole and predictions.rows * (predictions.classes or 2) <= _WHOLE
    parts, kept = [], []
    for block in predictions.blocks(unit(predictions.classes)):
        if block.kind != "confidence" and block.labels is None:
            raise InputError(f"{predictions.source}: there are no labels to test against")
        own = reduce_rows(block)
        parts.append(own)
        if keep:
            kept.append(_whole(block, own))
        progress("reading", sum(len(part.confidence) for part in parts) / max(predictions.rows, 1))
    rows = Rows.concatenate(parts)
    score, outcome = rows.view(view)
    weights = _weights(rows, predictions.source)
    found = _joined(kept, weights) if keep else None
    return Inputs(score, outcome, weights, rows.weights is not None, found)


def _whole(block: Predictions, own: Rows) -> WholeRows:
    """A block's rows; of confidences, the predicted class and the rest."""
    if block.labels is not None:
        return WholeRows(to_probs(block).matrix(), block.labels)
    probs = np.stack([1 - own.confidence, own.confidence], axis=1)
    return WholeRows(probs, own.correct.astype(np.int64), view="top")


def _joined(kept: list[WholeRows], weights: Array | None) -> WholeRows:
    probs, labels = ([getattr(part, name) for part in kept] for name in ("probs", "labels"))
    return replace(
        kept[0], probs=np.concatenate(probs), labels=np.concatenate(labels), weights=weights
    )


def _weights(rows: Rows, source: str) -> Array | None:
    """The weights, unless they are all the same."""
    if rows.weights is None:
        return None
    if not rows.weights.any():
        raise InputError(f"{source}: all weights are zero; nothing can be tested")
    return None if np.ptp(rows.weights) == 0 else rows.weights
