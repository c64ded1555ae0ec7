"""Inputs of the significance tests: the tests to run, the view, and the rows of the predictions."""

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

# Probabilities (rows x classes) that are kept in memory for the tests of whole rows: 1 GiB in
# float64. Larger predictions are tested by one score per row only.
_WHOLE = 1 << 27


@dataclass(frozen=True, eq=False)
class Inputs:
    """The rows that the tests look at.

    Attributes:
        score, outcome: (N,) scores and outcomes of the view.
        weights: (N,), or None where there are none or all are equal.
        weighted: whether the predictions have weights.
        whole: whole rows, or None where no test needs them or they do not fit in memory.
    """

    score: Array
    outcome: Array
    weights: Array | None
    weighted: bool
    whole: WholeRows | None


def choose(tests: str | Iterable[str] | None, predictions: Readable) -> list[Test]:
    """Return the tests with these names, in the order of the registry.

    Args:
        tests: names, as a list or separated by commas; None for all tests that fit the data.
        predictions: the predictions to be tested.

    Raises UsageError for an unknown name, for no name, and for a test that does not fit the data.
    """
    if tests is None:
        # with two classes it would repeat the consistency test of the positive view
        many = (predictions.classes or 0) > 2
        return [test for name, test in TESTS.items() if many or name != "class-consistency"]
    names = tests.split(",") if isinstance(tests, str) else list(tests)
    names = [name.strip() for name in names]
    unknown = [name for name in names if name not in TESTS]
    if predictions.classes is None and "class-consistency" in names:
        raise UsageError(f"{predictions.source}: class-consistency needs whole probability rows")
    if unknown or not names:
        wrong = f"{unknown[0]!r}" if unknown else "none"
        raise UsageError(f"--tests must be one or more of {', '.join(TESTS)} (got {wrong})")
    return [test for name, test in TESTS.items() if name in names]


def read(predictions: Readable, view: str, *, whole: bool, progress: Progress) -> Inputs:
    """Read the predictions once.

    Args:
        predictions: predictions in memory, or a source that is read in blocks.
        view: "top" or "positive".
        whole: keep whole rows too, if they fit in memory.
        progress: progress callback.

    Raises InputError without labels, and if all weights are zero.
    """
    keep_whole = whole and predictions.rows * (predictions.classes or 2) <= _WHOLE
    parts, whole_parts = [], []
    for block in predictions.blocks(unit(predictions.classes)):
        if block.kind != "confidence" and block.labels is None:
            raise InputError(f"{predictions.source}: there are no labels to test against")
        block_rows = reduce_rows(block)
        parts.append(block_rows)
        if keep_whole:
            whole_parts.append(_whole_rows(block, block_rows))
        progress("reading", sum(len(part.confidence) for part in parts) / max(predictions.rows, 1))
    rows = Rows.concatenate(parts)
    score, outcome = rows.view(view)
    weights = _weights(rows, predictions.source)
    joined = _joined(whole_parts, weights) if keep_whole else None
    return Inputs(score, outcome, weights, rows.weights is not None, joined)


def _whole_rows(block: Predictions, rows: Rows) -> WholeRows:
    """Return the whole rows of a block; two columns, wrong and right, for confidences alone."""
    if block.labels is not None:
        return WholeRows(to_probs(block).matrix(), block.labels)
    probs = np.stack([1 - rows.confidence, rows.confidence], axis=1)
    return WholeRows(probs, rows.correct.astype(np.int64), view="top")


def _joined(parts: list[WholeRows], weights: Array | None) -> WholeRows:
    """Return the rows of all blocks, with the weights of all rows."""
    probs, labels = ([getattr(part, name) for part in parts] for name in ("probs", "labels"))
    return replace(
        parts[0], probs=np.concatenate(probs), labels=np.concatenate(labels), weights=weights
    )


def _weights(rows: Rows, source: str) -> Array | None:
    """Return the weights, or None if all are equal: equal weights change no statistic."""
    if rows.weights is None:
        return None
    if not rows.weights.any():
        raise InputError(f"{source}: all weights are zero; nothing can be tested")
    return None if np.ptp(rows.weights) == 0 else rows.weights
