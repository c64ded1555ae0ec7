"""Checks of arrays from outside, so that everything downstream can trust them.

Each check raises InputError naming the source, the key and the first row that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from calibtool.errors import CalibtoolError, InputError, brief, row_name
from calibtool.types import Array

# A row of probabilities may miss 1 by this much, by bytes per value: the rounding of the type it
# was stored in, summed over many classes. float64 rows are allowed the rounding of float32 too,
# since most of them were float32 once.
SUM_TOLERANCE = {2: 4e-3, 4: 1e-5, 8: 1e-5}
# A float64 sum that misses 1 by no more than this is rounding of the sum itself (2**-53 is 1e-16);
# dividing by it would move scores off the edges of bins.
ROUNDING = 1e-14
# Up to this many class names, labels are compared with each name, column by column; with more, a
# dictionary looks up each row.
FEW_NAMES = 8
# Larger logits are refused. The largest float32 is 3.4e38: the difference of any two logits within
# the limit is finite in float32, and products of several of them and of weights are in float64.
LARGEST = 1e38
HEAVIEST = 1e30  # weights above it, or below 1 / HEAVIEST, would leave the range of float32


@dataclass(frozen=True)
class Origin:
    """The origin of values, for messages.

    Attributes:
        source: the file.
        values, labels, weights: their keys, or columns.
        first_row: the number of the first row.
        whole: False for a block of a longer file: all of its weights may then be 0.
        numbers: the number of each row, if a filter left some out.
        locate: returns what to call a row, by its number.
    """

    source: str = "predictions"
    values: str = ""
    labels: str = "labels"
    weights: str = "weights"
    first_row: int = 0
    whole: bool = True
    numbers: Array | None = field(default=None, compare=False, repr=False)
    locate: Callable[[int], str] | None = field(default=None, compare=False, repr=False)

    def row(self, index: int) -> str:
        """Return what to call the row at `index` of these values."""
        number = self.first_row + index if self.numbers is None else int(self.numbers[index])
        return self.locate(number) if self.locate else row_name(number)

    def first(self, key: str, bad: Array, values: Array, what: str, advice: str = "") -> InputError:
        """Return an error that says how many rows are `bad`, (n,) bool, and which is the first."""
        row = int(np.argmax(bad))
        return self.error(
            key,
            f"{int(bad.sum()):,} {what}, the first in {self.row(row)}: {values[row]:g}"
            f"{f'; {advice}' if advice else ''}",
        )

    def error(self, key: str, what: str) -> InputError:
        """Return an error about the values of a key."""
        return InputError(f"{self.source}: {key}: {what}")


def numeric(values: ArrayLike, key: str, place: Origin) -> Array:
    """Return numbers as a native float array, without a copy if it is one; integers become
    float64."""
    array = np.asanyarray(values)
    if array.dtype.kind == "U" and array.ndim:
        texts = array.ravel().tolist()
        at = next((i for i, text in enumerate(texts) if not _is_number(text)), None)
        if at is None:
            raise place.error(
                key, "the column is text: a value further down is not a number; repair or drop it"
            )
        row = at * len(array) // max(len(texts), 1)
        raise place.error(key, f"expected numbers, found {brief(texts[at])!r} in {place.row(row)}")
    if array.dtype.kind not in "fiub":
        raise place.error(key, f"expected numbers, found {array.dtype} values")
    if array.dtype.kind != "f":
        return array.astype(np.float64)
    if array.dtype.itemsize > 8 or not array.dtype.isnative:
        # what is too large for float64 becomes infinite, and is refused as such
        with np.errstate(over="ignore", under="ignore"):
            return array.astype(np.dtype(f"f{min(array.dtype.itemsize, 8)}"))
    return array


def texts(values: Array, place: str) -> Array:
    """Return values as texts, (N,); `place` is what messages call them.

    Raises InputError for bytes that are not text.
    """
    try:
        return values.astype(str)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: holds bytes that are not text; save names or numbers"
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def matrix(values: ArrayLike, place: Origin) -> Array:
    """Return numbers as (N, K), or (N, 1) from one value per row."""
    array = numeric(values, place.values, place)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise place.error(
            place.values,
            f"expected rows x classes (or one column for two classes), found shape {array.shape}",
        )
    return array


def require_rows(values: Array, place: Origin) -> None:
    """Check that there is at least one row."""
    if len(values) == 0:
        raise place.error(place.values, "there are no rows; nothing can be measured")


def require_finite(values: Array, key: str, place: Origin) -> None:
    """Check that no value is NaN or infinite.

    The sum is checked first, which is faster: it is finite only if every value is. If it is not,
    each value is checked, since finite values can overflow in the sum.
    """
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype=np.float32 if values.itemsize <= 4 else None)):
            return
    bad = ~np.isfinite(values)
    count = int(np.count_nonzero(bad))
    if count == 0:
        return
    row = int(np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))[0])
    nans = int(np.count_nonzero(np.isnan(values)))
    raise place.error(
        key,
        f"{count:,} values are not finite ({nans:,} NaN, {count - nans:,} infinite), "
        f"the first in {place.row(row)}; drop or repair those rows",
    )


def require_range(values: Array, key: str, place: Origin) -> None:
    """Check that logits, or probabilities that are yet to be divided by their sum, are finite and
    lie between -LARGEST and LARGEST."""
    if values.itemsize <= 2:  # float16 ends at 65504, and its extremes are slow
        require_finite(values, key, place)
        return
    low, high = values.min(), values.max()
    if low >= -LARGEST and high <= LARGEST:  # False for NaN
        return
    require_finite(values, key, place)
    bad = np.abs(values) > LARGEST
    if not bad.any():
        return
    row = int(np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))[0])
    raise place.error(
        key,
        f"{int(np.count_nonzero(bad)):,} values lie beyond -{LARGEST:g} and {LARGEST:g}, the first "
        f"in {place.row(row)}: {values[row][bad[row]].flat[0]:g}; repair them, or clip them: "
        "a logit 1000 below another is already a probability of 0",
    )


def require_unit(values: Array, place: Origin, slack: float | None = None) -> None:
    """Check that values lie in [0, 1 + slack]; `slack` is float rounding by default."""
    low, high = float(values.min()), float(values.max())
    if slack is None:
        slack = SUM_TOLERANCE[values.itemsize]
    if low >= 0 and high <= 1 + slack:
        return
    most = min(1 + slack, float(np.finfo(values.dtype).max))  # the slack may be beyond float16
    bad = (values < 0) | (values > most)
    row = int(np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))[0])
    value = values[row][bad[row]].flat[0] if values.ndim == 2 else values[row]
    percent = "percentages, use --scale 100; if " if low >= 0 and high <= 100 else ""
    raise place.error(
        place.values,
        f"{int(np.count_nonzero(bad)):,} values lie outside [0, {max(slack, 1):g}], the first in "
        f"{place.row(row)}: {value:g}; probabilities were expected"
        f" (if these are {percent}logits, use --logits KEY)",
    )


def are_unit_column(values: Array) -> bool:
    """Return whether (N, 1) values all lie in [0, 1]; they are then finite, since a comparison
    with NaN is false."""
    return values.shape[1] == 1 and len(values) > 0 and values.min() >= 0 and values.max() <= 1


def distribution(values: Array, renormalize: bool, place: Origin) -> Array:
    """Return rows of probabilities that sum to 1 in their own type.

    Raises InputError for rows that do not, unless `renormalize`.
    """
    require_unit(values, place, LARGEST if renormalize and values.shape[1] > 1 else None)
    if values.shape[1] == 1:
        return np.minimum(values, 1) if values.max() > 1 else values
    total = values.sum(axis=1, dtype=np.float64)
    off = np.abs(total - 1)
    tolerance = SUM_TOLERANCE[values.itemsize]
    bad = total <= 0 if renormalize else off > tolerance
    if bad.any():
        row = int(np.argmax(bad))
        advice = (
            "there is nothing to renormalise"
            if renormalize
            else "pass --renormalize if they were rounded or are unnormalised on purpose"
        )
        raise place.error(
            place.values,
            f"{int(bad.sum()):,} rows do not sum to 1, the first is {place.row(row)}: "
            f"it sums to {total[row]:.6g}; {advice}",
        )
    # Rows that sum to 1 in their own precision stay as they are: their scores stay on bin edges,
    # and equal ones stay equal.
    exact = (total.astype(values.dtype) == 1) | (off <= ROUNDING)
    if exact.all():
        return values
    divisor = np.where(exact, 1.0, total)
    return np.asarray(values / divisor[:, None], dtype=values.dtype)


def as_labels(
    labels: ArrayLike, rows: int, classes: int, names: tuple[str, ...] | None, place: Origin
) -> Array:
    """Return labels as int64 class ids in [0, classes), (rows,).

    Accepts ids, names, one-hot rows and booleans.
    """
    array = np.asanyarray(labels)
    key = place.labels
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if not array.ndim:
        raise place.error(key, "a single value, expected one label per row")
    if len(array) != rows:
        raise place.error(key, f"{len(array):,} labels for {rows:,} rows of {place.values}")
    if array.ndim == 2:
        return _from_one_hot(array, classes, place)
    if array.ndim != 1:
        raise place.error(key, f"expected one label per row, found shape {array.shape}")
    if array.dtype.kind in "USOT":
        return _from_names(array, names, place)
    return _from_ids(array, classes, place)


def _from_one_hot(array: Array, classes: int, place: Origin) -> Array:
    if array.shape[1] != classes:
        raise place.error(
            place.labels, f"one-hot labels have {array.shape[1]} columns for {classes} classes"
        )
    if array.dtype.kind not in "fiub":
        raise place.error(place.labels, f"expected one-hot rows of 0 and 1, found {array.dtype}")
    ones = array == 1
    binary = (ones | (array == 0)).all(axis=1) & (ones.sum(axis=1) == 1)
    if not binary.all():
        row = int(np.argmin(binary))
        raise place.error(
            place.labels,
            f"{place.row(row)} is not one-hot (a single 1, the rest 0); where a row has several "
            "labels, say --multilabel; where its label is a distribution, --soft-labels KEY",
        )
    return np.asarray(array.argmax(axis=1), dtype=np.int64)


def _from_names(array: Array, names: tuple[str, ...] | None, place: Origin) -> Array:
    if names is None:
        raise place.error(
            place.labels,
            f"labels are names ({str(array[0])!r}, ...), but the order of the classes is not "
            "known; give it with --classes NAME,NAME,... or a key 'classes' in the file",
        )
    text = array.astype(str, copy=False)
    codes = _codes(text, names)
    if codes.min(initial=0) < 0:
        unknown = min(text[codes < 0].tolist())
        row = int(np.flatnonzero(text == unknown)[0])
        raise place.error(
            place.labels,
            f"{unknown!r} in {place.row(row)} is not among the classes "
            f"({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})",
        )
    return codes


def _codes(text: Array, names: tuple[str, ...]) -> Array:
    """Return the position of each text among the names, or -1, (n,) int64."""
    if len(names) <= FEW_NAMES:
        codes = np.full(len(text), -1, dtype=np.int64)
        for code, name in enumerate(names):
            codes[text == name] = code
        return codes
    position = {name: code for code, name in enumerate(names)}
    return np.fromiter((position.get(t, -1) for t in text.tolist()), np.int64, len(text))


def _from_ids(array: Array, classes: int, place: Origin) -> Array:
    key = place.labels
    if array.dtype.kind == "f":
        fraction = ~np.isfinite(array) | (array != np.floor(array))
        if fraction.any():
            advice = f"labels are class ids 0 to {classes - 1}"
            raise place.first(key, fraction, array, "labels are not whole numbers", advice)
    elif array.dtype.kind not in "iub":
        raise place.error(key, f"expected class ids, found {array.dtype} values")
    low, high = array.min(), array.max()
    if low >= 0 and high < classes:
        return array.astype(np.int64, copy=False)
    bad = (array < 0) | (array >= classes)
    if low >= 1 and high == classes:
        advice = "the labels seem to be 1-based: subtract 1"
    elif low < 0:
        advice = (
            "negative labels often mark unlabelled rows: leave them out with --ignore "
            f"{array[np.argmax(bad)]:g}"
        )
    else:
        advice = (
            "is a class missing among the columns? A label that marks what is not to be measured "
            f"is left out with --ignore {array[np.argmax(bad)]:g}"
        )
    raise place.first(key, bad, array, f"labels lie outside 0 to {classes - 1}", advice)


def hits(correct: ArrayLike, rows: int, place: Origin) -> Array:
    """Return hits, given as zeros and ones, as booleans, (rows,)."""
    array = np.asanyarray(correct)
    key = place.labels
    if array.ndim != 1 or len(array) != rows:
        raise place.error(key, f"shape {array.shape} for {rows:,} rows of {place.values}")
    if array.dtype.kind not in "fiub":
        raise place.error(key, f"expected 0 and 1, found {array.dtype} values")
    if array.dtype.kind == "b":
        return array
    bad = ~((array == 0) | (array == 1))
    if bad.any():
        raise place.first(key, bad, array, "values are neither 0 nor 1")
    return array.astype(bool)


def row_weights(weights: ArrayLike | None, rows: int, place: Origin) -> Array | None:
    """Return weights as float64, (rows,): finite, not negative, not all 0."""
    if weights is None:
        return None
    array = numeric(weights, place.weights, place).astype(np.float64, copy=False)
    if array.shape != (rows,):
        raise place.error(place.weights, f"shape {array.shape} for {rows:,} rows")
    require_finite(array, place.weights, place)
    low, high = array.min(), array.max()
    if low < 0:
        raise place.first(place.weights, array < 0, array, "weights are negative")
    if high > HEAVIEST or low < 1 / HEAVIEST:
        bad = (array > HEAVIEST) | ((array > 0) & (array < 1 / HEAVIEST))
        if bad.any():
            what = f"weights are neither 0 nor between {1 / HEAVIEST:g} and {HEAVIEST:g}"
            advice = "only ratios matter: rescale them"
            raise place.first(place.weights, bad, array, what, advice)
    if place.whole and not array.any():
        raise place.error(place.weights, "all weights are zero; nothing can be measured")
    return array


def require_pandas() -> Any:
    """Return the module pandas, which calibtool does not depend on; CalibtoolError without it."""
    try:
        import pandas as pd
    except ImportError:
        raise CalibtoolError("to_pandas() needs pandas: pip install pandas") from None
    return pd
