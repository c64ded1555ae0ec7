"""Checks of arrays from outside, which become inputs and labels to train on; torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from calibtool.data.validation import LARGEST
from calibtool.errors import InputError, row_name
from calibtool.train.data.dataset import Data, RawPart, Rows
from calibtool.types import Array

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA: what tells the axis of channels from height and width

# Largest label that is taken for a class: whole numbers are exact in float64 up to there.
LARGEST_LABEL = 2**53


def as_images(x: Array, layout: str, where: str) -> Array:
    """Return (N, H, W) and (N, H, W, C) arrays as NCHW without copying, other arrays unchanged.

    Raises InputError if `layout` is "auto" and either axis could be the channels.
    """
    if x.ndim == 3:
        return x[:, None]
    if x.ndim != 4:
        return x
    first, last = x.shape[1] in CHANNELS, x.shape[3] in CHANNELS
    if layout == "auto" and first == last:
        raise InputError(
            f"{where}: shape {x.shape}: the channels could come first or last; add --layout nchw "
            "or --layout nhwc"
        )
    last = last if layout == "auto" else layout == "nhwc"
    return x.transpose(0, 3, 1, 2) if last else x


def require_rows(count: int, source: str, part: str) -> None:
    """Check that a part of the data has rows; raise InputError otherwise."""
    if not count:
        raise InputError(f"{source}: there are no rows for {part}")


def require_finite(x: Array, where: str, rows: int = 4096) -> None:
    """Check that no input is NaN, infinite or beyond float32, in which networks compute; in blocks
    of `rows` to bound the memory used.

    Raises InputError for them, and if there are no rows, or none with a number.
    """
    if len(x) == 0:
        raise InputError(f"{where}: there are no rows")
    if x.size == 0:
        raise InputError(f"{where}: shape {x.shape}: there are no numbers in a row")
    if x.dtype.kind in "iubU":
        return
    if x.dtype.kind != "f":
        raise InputError(f"{where}: expected numbers, found {x.dtype} values")

    def rows_with(is_bad: Callable[[Array], Array]) -> Array:
        blocks = (x[i : i + rows] for i in range(0, len(x), rows))
        return np.concatenate([is_bad(b).reshape(len(b), -1).any(axis=1) for b in blocks])

    within = np.isfinite if x.itemsize <= 2 else lambda block: np.abs(block) <= LARGEST
    beyond = rows_with(lambda block: ~within(block))  # float16 ends at 65504
    if not beyond.any():
        return
    bad, what, advice = rows_with(lambda block: ~np.isfinite(block)), "NaN or infinite", "drop"
    if not bad.any():
        bad, what, advice = beyond, f"beyond -{LARGEST:g} and {LARGEST:g}", "rescale"
    raise InputError(
        f"{where}: {int(bad.sum()):,} rows have values that are {what}, the first is "
        f"{row_name(np.argmax(bad))}; {advice} or repair them"
    )


def kind_of(x: Array) -> str:
    """Return the kind of inputs in an array, by its axes and type alone; see `Data.kind`.

    Rows of bytes are features (raw pixels, say): token ids are stored in wider integers.
    """
    if x.ndim == 4:
        return "images"
    if x.ndim != 2:
        return "other"
    return "tokens" if x.dtype.kind in "iu" and x.dtype.itemsize > 1 else "features"


def settle_labels(
    labels: Array, names: tuple[str, ...] | None, where: str
) -> tuple[Array, tuple[str, ...] | None]:
    """Return labels as (N,) int64 ids in [0, K), and class names unless they are 0 to K-1 already.

    Text and numbers with gaps become classes in sorted order. Raises InputError for missing
    labels, labels without a name in `names`, and a single class.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"{where}: expected one label per row, found shape {labels.shape}; {_kind_of(labels)}"
        )
    if labels.dtype.kind == "f":
        labels = _whole_numbers(labels, where)
    if labels.dtype.kind not in "iubU":
        raise InputError(f"{where}: expected class ids or names, found {labels.dtype} values")
    if labels.dtype.kind == "U":
        _require_present(labels != "", where, "missing")
    if names is not None:
        return _by_names(labels, names, where), names
    if labels.dtype.kind == "i":
        advice = "or names. Drop rows without a label, and write -1 and 1 as 0 and 1"
        _require(labels >= 0, labels, where, f"is no class; classes are 0 to K - 1, {advice}")
    values, codes = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise InputError(
            f"{where}: all {len(labels):,} labels are {values[0] if len(values) else 'missing'}; "
            "training needs at least two classes"
        )
    if labels.dtype.kind in "iub" and values[0] == 0 and values[-1] == len(values) - 1:
        return labels.astype(np.int64), None
    return codes.reshape(-1).astype(np.int64), tuple(str(value) for value in values)


def _kind_of(labels: Array) -> str:
    """Return what labels of several numbers per row are, and what to do."""
    numbers = labels.ndim == 2 and labels.dtype.kind in "iubf"
    if numbers and np.isin(labels, (0, 1)).all():
        if (labels.sum(axis=1) == 1).all():
            return "these are one-hot labels: store y.argmax(1)"
        return (
            "these are multi-label targets, several classes per row: train in your own loop, with "
            "a loss in its sigmoid form, such as FocalLoss(sigmoid=True)"
        )
    if numbers and (labels >= 0).all() and np.allclose(labels.sum(axis=1), 1, atol=1e-3):
        return "these are soft labels, probabilities per row, which are not supported"
    return "store one class id or name per row"


def settle(
    source: str, raw: Mapping[str, RawPart], names: tuple[str, ...] | None, where: str
) -> Data:
    """Return the data of parts as their source holds them; `names` as for `settle_labels`.

    The labels of all parts are settled together, so that an id means the same class in each.
    """
    ids, names = settle_labels(np.concatenate([rows.labels for rows in raw.values()]), names, where)
    cuts = np.cumsum([len(rows.labels) for rows in raw.values()])[:-1]
    parts = {
        part: Rows(rows.inputs, labels, rows.ids, rows.groups)
        for (part, rows), labels in zip(raw.items(), np.split(ids, cuts), strict=True)
    }
    classes = len(names) if names else int(ids.max(initial=0)) + 1
    first = raw["train"]
    shape = () if first.kind == "text" else first.inputs.take(np.arange(1)).shape[1:]
    return Data(source, parts, classes, shape, first.kind, names)


def _whole_numbers(labels: Array, where: str) -> Array:
    _require_present(np.isfinite(labels), where, "missing (NaN)")
    whole = labels == np.round(labels)
    _require(whole, labels, where, "is not a whole number; calibtool trains classifiers")
    near = np.abs(labels.astype(np.float64)) <= LARGEST_LABEL  # float16 cannot hold the bound
    _require(near, labels, where, "is no class; classes are 0 to K - 1")
    return labels.astype(np.int64)


def _by_names(labels: Array, names: tuple[str, ...], where: str) -> Array:
    if labels.dtype.kind in "iub":
        known = (labels >= 0) & (labels < len(names))
        codes = labels.astype(np.int64)
    else:
        ids = {name: k for k, name in enumerate(names)}
        codes = np.array([ids.get(str(label), -1) for label in labels.tolist()], np.int64)
        known = codes >= 0
    _require(known, labels, where, f"is not one of the {len(names)} classes")
    return codes


def _require_present(present: Array, where: str, problem: str) -> None:
    """Check that no label is missing; raise InputError otherwise."""
    if not present.all():
        raise InputError(
            f"{where}: {int((~present).sum()):,} labels are {problem}, the first in "
            f"{row_name(np.argmin(present))}; drop those rows"
        )


def _require(ok: Array, labels: Array, where: str, problem: str) -> None:
    """Check labels; raise InputError with the first that is not `ok`, and what is wrong with it."""
    if not ok.all():
        row = np.argmin(ok)
        raise InputError(f"{where}: label {labels[row]!s} in {row_name(row)} {problem}")
