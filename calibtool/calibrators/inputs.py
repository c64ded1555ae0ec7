"""What calibrators look at: probabilities, log-probabilities and log-odds of whole rows, float64.

Where only probabilities were saved, their logarithms stand for logits. A probability of 0 has none:
it counts as `floor`, which a fit takes from its own data and the calibrator keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.parallel import cores, ordered
from calibtool.types import Array

PIECE = 1 << 17  # values worked on at a time
WIDE = 1 << 20  # the same where they are turned: long runs of rows are quicker to write

Look: TypeAlias = Callable[[Predictions, float], Array]


def floor_of(predictions: Predictions) -> float:
    """What a probability of 0 counts as: the least positive one there is, or the rounding unit of
    their precision if that is smaller; of logits, which have none, the least normal float64.

    >>> floor_of(Predictions.from_probs([[1.0, 0.0], [1e-30, 1.0]], None))
    1e-30
    """
    if predictions.kind == "logits":
        return float(np.finfo(np.float64).tiny)
    values = predictions.values
    least = float(np.finfo(values.dtype).eps)
    for piece in pieces(predictions):
        own = piece.matrix()
        least = float(own[own > 0].min(initial=least))
    return least


def floored(predictions: Predictions) -> int:
    """How many probabilities lie at 0, and so count as the floor."""
    if predictions.kind == "logits":
        return 0
    own = predictions.values
    zero = np.count_nonzero(own == 0)
    return int(zero + (np.count_nonzero(own == 1) if predictions.one_column else 0))


def note_of_zeros(predictions: Predictions, floor: float) -> list[str]:
    """What to tell of probabilities of 0."""
    return told_of_zeros(floored(predictions), floor)


def told_of_zeros(count: int, floor: float) -> list[str]:
    """The same, once they are counted."""
    return (
        [f"{count:,} probabilities of exactly 0 or 1 count as {floor:.2g} from it"] if count else []
    )


def probs(block: Predictions, floor: float = 0.0) -> Array:
    """(n, K) probabilities: of logits in float64, else as they were saved."""
    if block.kind != "logits":
        return block.matrix()
    values = block.matrix().astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    with np.errstate(under="ignore"):
        np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def log_probs(block: Predictions, floor: float = 0.0) -> Array:
    """(n, K) logarithms of the probabilities, float64."""
    values = block.matrix().astype(np.float64)
    if block.kind == "logits":
        values -= values.max(axis=1, keepdims=True)
        values -= _log_sum(values)[:, None]
        return values
    return np.log(np.maximum(values, floor))


def log_odds(block: Predictions, floor: float = 0.0) -> Array:
    """(n, K) log p - log(1 - p), float64. 1 - p is summed over the other classes, so that it keeps
    its digits where p rounds to 1."""
    log_p = log_probs(block, floor)
    rows, top = np.arange(len(log_p)), log_p.argmax(axis=1)
    others = log_p.copy()
    others[rows, top] = -np.inf
    highest = others.max(axis=1)
    rest = highest + _log_sum(others - highest[:, None])
    with np.errstate(divide="ignore"):
        out = log_p - np.log1p(-np.minimum(np.exp(log_p), 1))
    out[rows, top] = log_p[rows, top] - rest
    return out


def logits(block: Predictions, floor: float = 0.0) -> Array:
    """(n, K) logits as they were saved, or log-probabilities; float32 at least."""
    if block.kind != "logits":
        return log_probs(block, floor)
    values = block.matrix()
    return values if values.itemsize > 2 else values.astype(np.float32)


LOOKS: dict[str, Look] = {
    "logits": logits,
    "log-probs": log_probs,
    "log-odds": log_odds,
    "probs": probs,
}


def pieces(predictions: Predictions) -> Iterator[Predictions]:
    """Yield all rows in blocks of about PIECE values."""
    return predictions.blocks(max(1, PIECE // predictions.values.shape[1]))


def by_row(look: Look, predictions: Predictions, floor: float) -> Array:
    """`look` at all rows: (N, K)."""
    return np.concatenate(list(_pieces(look, predictions, floor)))


def by_class(look: Look, predictions: Predictions, floor: float) -> Array:
    """`look` at all rows, a contiguous row a class: (K, N)."""
    first = look(predictions.take(slice(0, 1)), floor)
    out = np.empty((first.shape[1], predictions.rows), first.dtype)
    step = max(64, WIDE // predictions.values.shape[1])

    def fill(start: int) -> None:
        part = slice(start, start + step)
        out[:, part] = look(predictions.take(part), floor).T

    list(ordered(fill, range(0, predictions.rows, step), cores()))
    return out


def turned(values: Array, total: Array) -> Array:
    """(K, N) values, each row's divided by its total: (N, K)."""
    out = np.empty(values.shape[::-1])
    step = max(64, WIDE // len(values))

    def fill(start: int) -> None:
        part = slice(start, start + step)
        np.divide(values[:, part].T, total[part, None], out=out[part])

    list(ordered(fill, range(0, len(out), step), cores()))
    return out


def same_form(before: Predictions, probs: Array) -> Predictions:
    """(N, K) probabilities as predictions that stand in place of `before`."""
    return replace(before, kind="probs", values=probs[:, 1:] if before.one_column else probs)


def _pieces(look: Look, predictions: Predictions, floor: float) -> Iterator[Array]:
    return ordered(lambda piece: look(piece, floor), pieces(predictions), cores())


def _log_sum(values: Array) -> Array:
    with np.errstate(under="ignore"):
        return np.asarray(np.log(np.exp(values).sum(axis=1)))
