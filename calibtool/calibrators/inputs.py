"""The inputs of calibrators: logits, probabilities, log-probabilities and log-odds of whole rows.

Where only probabilities were saved, their logarithms stand in for logits. The logarithm of 0 is not
finite: a probability of 0 counts as `floor`, which a fit takes from its data and the map keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.errors import NotAvailableError
from calibtool.parallel import Once, cores, ordered
from calibtool.types import Array

# Values worked on at a time: 1 MB in float64, so that the intermediate arrays of a piece stay in a
# core's L2 cache. Much smaller pieces cost calls, much larger ones memory traffic.
PIECE = 1 << 17
# Values transposed at a time: a piece fills a run of columns in each of K rows of the result, and
# short runs write partial cache lines; so pieces are longer here than elsewhere. Longer ones still
# leave the cache: log-odds take a third more.
WIDE = 1 << 18

# A sum of probabilities below this may have lost digits, or have become 0, by underflow.
TINY = 1e-290

Look: TypeAlias = Callable[[Predictions, float], Array]


def floor_of(predictions: Predictions) -> float:
    """Return what a probability of 0 counts as, in (0, 1).

    It is the smallest positive probability there is, or the rounding unit of their dtype if that is
    smaller: 0 must not count as more than a probability that was saved. Logits have no such zeros;
    a map that was fitted on logits and meets a probability of 0 later takes the smallest normal
    float64.

    >>> floor_of(Predictions.from_probs([[1.0, 0.0], [1e-30, 1.0]], None))
    1e-30
    """
    if predictions.kind == "logits":
        return float(np.finfo(np.float64).tiny)
    values = predictions.values
    smallest = float(np.finfo(values.dtype).eps)
    for piece in pieces(predictions):
        probabilities = piece.matrix()
        smallest = float(probabilities[probabilities > 0].min(initial=smallest))
    return smallest


def floored(predictions: Predictions) -> int:
    """Return how many probabilities are 0, and so count as the floor."""
    if predictions.kind == "logits":
        return 0
    values = predictions.values
    zeros = np.count_nonzero(values == 0)
    return int(zeros + (np.count_nonzero(values == 1) if predictions.one_column else 0))


def notes_of_zeros(count: int, floor: float) -> list[str]:
    """Return the note for the record of a fit where `count` probabilities count as the floor."""
    return (
        [f"{count:,} probabilities of exactly 0 or 1 count as {floor:.2g} from it"] if count else []
    )


def weights_of(predictions: Predictions) -> Array:
    """Return the (N,) weight of each row, float64: 1 if the predictions have none."""
    weights = predictions.weights
    return np.ones(predictions.rows) if weights is None else weights


def require_whole_rows(source: str, classes: int | None) -> None:
    """Raise NotAvailableError if only confidences are known (`classes` is None)."""
    if classes is None:
        raise NotAvailableError(
            f"{source}: only confidences are known; this needs whole rows of logits or "
            "probabilities (calibtool fit-temperature and others can be fitted to confidences)"
        )


def require_labels(predictions: Predictions) -> None:
    """Raise NotAvailableError for predictions without labels."""
    if predictions.labels is None:
        raise NotAvailableError(f"{predictions.source}: a fit needs labels")


def probs(block: Predictions, floor: float = 0.0) -> Array:
    """Return (n, K) probabilities: of logits in float64, otherwise as they were saved."""
    if block.kind != "logits":
        return block.matrix()
    values = block.matrix().astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    with np.errstate(under="ignore"):
        np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def log_probs(block: Predictions, floor: float = 0.0) -> Array:
    """Return (n, K) logarithms of the probabilities, float64."""
    values = block.matrix().astype(np.float64)
    if block.kind == "logits":
        values -= values.max(axis=1, keepdims=True)
        values -= _log_sum(values)[:, None]
        return values
    return np.log(np.maximum(values, floor))


def log_odds(block: Predictions, floor: float = 0.0) -> Array:
    """Return (n, K) log p - log(1 - p), float64.

    For the top class, 1 - p is summed over the other classes, so that it keeps its digits where p
    rounds to 1. Only the top class can have p > 1/2 and lose digits in 1 - p.
    """
    log_p = log_probs(block, floor)
    rows, top = np.arange(len(log_p)), log_p.argmax(axis=1)
    with np.errstate(divide="ignore", under="ignore"):
        p = np.exp(log_p)
        out = log_p - np.log1p(-np.minimum(p, 1))
        p[rows, top] = 0
        others = p.sum(axis=1)
        rest = np.log(others)
    tiny = np.flatnonzero(others < TINY)
    if len(tiny):
        few = log_p[tiny]
        few[np.arange(len(few)), top[tiny]] = -np.inf
        highest = few.max(axis=1)
        rest[tiny] = highest + _log_sum(few - highest[:, None])
    out[rows, top] = log_p[rows, top] - rest
    return out


def logits(block: Predictions, floor: float = 0.0) -> Array:
    """Return (n, K) logits as saved (float16 as float32), or log-probabilities in float64."""
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


_kept: WeakKeyDictionary[Predictions, Once] = WeakKeyDictionary()


def pieces(predictions: Predictions) -> Iterator[Predictions]:
    """Yield all rows in blocks of about PIECE values."""
    return predictions.blocks(max(1, PIECE // predictions.values.shape[1]))


def by_row(look: Look, predictions: Predictions, floor: float) -> Array:
    """Return `look` of all rows: (N, K)."""
    return np.concatenate(list(_pieces(look, predictions, floor)))


def keep_looks(predictions: Predictions) -> None:
    """Keep what `by_class` returns of these rows, as long as they are there themselves: several
    calibrators are going to be fitted to them, and most of a fit to many classes may be this."""
    _kept[predictions] = Once()


def by_class(look: Look, predictions: Predictions, floor: float) -> Array:
    """Return `look` of all rows, transposed: (K, N), each class contiguous. It can be written to,
    unless it is kept."""
    kept = _kept.get(predictions)
    if kept is None:
        return _by_class(look, predictions, floor)
    values: Array = kept((look, floor), lambda: _by_class(look, predictions, floor))
    values.flags.writeable = False
    return values


def _by_class(look: Look, predictions: Predictions, floor: float) -> Array:
    first = look(predictions.take(slice(0, 1)), floor)
    out = np.empty((first.shape[1], predictions.rows), first.dtype)
    step = max(64, WIDE // predictions.values.shape[1])

    def fill(start: int) -> None:
        part = slice(start, start + step)
        out[:, part] = look(predictions.take(part), floor).T

    list(ordered(fill, range(0, predictions.rows, step), cores()))
    return out


def shares(classes: int, rows: int) -> list[range]:
    """Return the classes that a thread takes at a time, with about WIDE values together."""
    step = max(1, WIDE // max(rows, 1))
    return [range(low, min(low + step, classes)) for low in range(0, classes, step)]


def turned(values: Array, total: Array) -> Array:
    """Return (K, N) values as (N, K), each row divided by its total, (N,)."""
    out = np.empty(values.shape[::-1])
    step = max(64, WIDE // len(values))

    def fill(start: int) -> None:
        part = slice(start, start + step)
        np.divide(values[:, part].T, total[part, None], out=out[part])

    list(ordered(fill, range(0, len(out), step), cores()))
    return out


def same_form(before: Predictions, probs: Array) -> Predictions:
    """Return (N, K) probabilities as predictions with the labels and columns of `before`."""
    return replace(before, kind="probs", values=probs[:, 1:] if before.one_column else probs)


def _pieces(look: Look, predictions: Predictions, floor: float) -> Iterator[Array]:
    return ordered(lambda piece: look(piece, floor), pieces(predictions), cores())


def _log_sum(values: Array) -> Array:
    with np.errstate(under="ignore"):
        return np.asarray(np.log(np.exp(values).sum(axis=1)))
