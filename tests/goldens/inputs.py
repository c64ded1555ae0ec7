"""The arrays behind the golden numbers, rebuilt from literals and seeds.

Every array is rounded to a power-of-two grid, so that a last-bit difference between
two machines' `exp` is rounded away and the bytes, hence `sha256`, come out the same.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]
Floats = NDArray[np.float64]

FINE = 2.0**30  # no two of 2,000 scores meet on this grid
EXACT_IN_FLOAT32 = 2.0**10


def inputs() -> dict[str, Arrays]:
    """Return every golden input by name."""
    return {
        "tenths": tenths(),
        "continuous": continuous(),
        "ties": ties(),
        "classes5": multiclass(classes=5, rows=3000, seed=5, reported=(2.0,)),
        "classes100": multiclass(classes=100, rows=2000, seed=100, reported=(0.5, 2.5)),
    }


def convention_inputs() -> dict[str, Arrays]:
    """Return the inputs that other libraries' numbers are reproduced on, by name: those of
    `inputs`, scores on the edges of bins in either precision, and a column for each of two
    classes."""
    found = inputs()
    labels = found["continuous"]["outcomes"]
    pair = np.stack([np.zeros(500), found["continuous"]["logits"][:500]], axis=1)
    single = {"logits": found["classes5"]["logits"].astype(np.float32)}
    return found | {
        "tenths32": on_edges(10, np.float32),
        "fifteenths": on_edges(15, np.float64),
        "fifteenths32": on_edges(15, np.float32),
        "two_columns": {"logits": pair, "labels": labels[:500]},
        "classes5_single": single | {"labels": found["classes5"]["labels"]},
    }


def fit_inputs() -> dict[str, Arrays]:
    """Return the inputs that calibrators are fitted to, by name.

    Three are `continuous` with other outcomes: the best beta curve is held at 0 near 0, near 1, or
    falls.
    """
    binary = continuous()
    scores, outcomes = binary["scores"], binary["outcomes"]
    often = np.arange(len(scores)) % 9 == 0
    changed = {
        "one_sided": (scores > 0.97) | often,
        "other_sided": (scores > 0.03) & ~often,
        "falling": outcomes == 0,
    }
    used = ("tenths", "continuous", "ties", "classes5")
    return {name: arrays for name, arrays in inputs().items() if name in used} | {
        name: {"scores": scores, "outcomes": own.astype(np.int64)} for name, own in changed.items()
    }


def places(arrays: Arrays) -> Arrays:
    """Return the weights of an input's rows, and where its fitted calibrators are looked at: off
    the edges of bins, at 0 and 1, and at rows of the input."""
    first = next(iter(arrays.values()))
    found: Arrays = {"weights": 1.0 + np.arange(len(first)) % 3}
    if "labels" in arrays:
        return found | {"at_rows": np.arange(0, len(first), 150)}
    middles = (np.arange(37) + 0.5) / 37
    found["at_logits"] = np.linspace(-9, 9, 31)
    found["at_scores"] = np.concatenate([[0.0], middles, arrays["scores"][:12], [1.0]])
    return found


def tenths() -> Arrays:
    """Return 12 binary scores that all lie on the edges of ten bins, 0 and 1 among them."""
    scores = np.array([0.0, 0.1, 0.2, 0.3, 0.3, 0.5, 0.6, 0.7, 0.9, 1.0, 1.0, 1.0])
    outcomes = np.array([0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0])
    return {"scores": scores, "outcomes": outcomes}


def on_edges(bins: int, dtype: type[np.floating]) -> Arrays:
    """Return 15 scores on each edge of these bins, or a last bit beside it."""
    place = np.repeat(np.arange(bins + 1), 15)
    outcomes = (np.arange(len(place)) * 7 % (bins + 1) < place).astype(np.int64)
    return {"scores": (place / bins).astype(dtype), "outcomes": outcomes}


def continuous(rows: int = 2000) -> Arrays:
    """Return distinct binary scores of an overconfident model: reported logit = 2 x true."""
    rng = np.random.Generator(np.random.PCG64(2))
    true = 1.5 * rng.standard_normal(rows)
    outcomes = (rng.random(rows) < sigmoid(true)).astype(np.int64)
    logits = on_grid(2 * true, FINE)
    return {"logits": logits, "scores": on_grid(sigmoid(logits), FINE), "outcomes": outcomes}


def ties(rows: int = 2000) -> Arrays:
    """Return binary scores on seven round values: 0.5 is common, 0.8 lies on 12/15, 1 occurs."""
    rng = np.random.Generator(np.random.PCG64(3))
    values = np.array([0.05, 0.1, 0.3, 0.5, 0.5, 0.5, 0.8, 0.95, 1.0])
    scores = values[rng.integers(len(values), size=rows)]
    outcomes = (rng.random(rows) < 0.1 + 0.8 * scores).astype(np.int64)
    return {"scores": scores, "outcomes": outcomes}


def multiclass(*, classes: int, rows: int, seed: int, reported: tuple[float, ...]) -> Arrays:
    """Return logits of a miscalibrated model: the true ones times `reported`, in turn by row."""
    rng = np.random.Generator(np.random.PCG64(seed))
    true = 1.5 * rng.standard_normal((rows, classes))
    below = np.cumsum(softmax(true), axis=1) < rng.random((rows, 1))
    labels = np.minimum(below.sum(axis=1), classes - 1)
    logits = on_grid(np.resize(reported, (rows, 1)) * true, EXACT_IN_FLOAT32)
    return {"logits": logits, "labels": labels.astype(np.int64)}


def on_grid(values: Floats, steps: float) -> Floats:
    """Round to multiples of 1 / steps."""
    rounded: Floats = np.rint(values * steps) / steps
    return rounded


def sigmoid(logits: Floats) -> Floats:
    """Return P(class 1)."""
    probabilities: Floats = 1 / (1 + np.exp(-logits))
    return probabilities


def softmax(logits: Floats) -> Floats:
    """Return the rows' class probabilities."""
    weights: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = weights / weights.sum(axis=1, keepdims=True)
    return probabilities


def sha256(array: NDArray[np.generic]) -> str:
    """Hash the array's bytes, little-endian and in C order."""
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return hashlib.sha256(data.tobytes()).hexdigest()
