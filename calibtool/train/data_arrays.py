"""npz, parquet and Arrow: inputs and labels by key or column; torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from calibtool.checks import Array
from calibtool.errors import InputError
from calibtool.files import Table, open_table
from calibtool.train.rows import PARTS, Arrays, Data, Rows, settle_labels
from calibtool.train.settings import Settings

INPUTS = ("x", "inputs", "features", "embeddings", "images", "tokens", "text", "data")
LABELS = ("y", "labels", "label", "target", "targets")
IDS = ("ids", "id")
SPLIT = ("split", "part")
NAMES = ("classes", "class_names", "label_names")
CHANNELS = (1, 3, 4)


def read(text: str, settings: Settings) -> Data:
    """One file: `x` and `y`, or `x_train`, `y_train`, `x_test`, ... for a split of its own."""
    table = open_table(text)
    columns = list(table.columns)
    label = _find(columns, settings.labels, LABELS)
    if label is None:
        raise _missing(text, "labels", settings.labels, columns)
    inputs = _input_columns(table, settings, label)
    wanted = [*inputs, label]
    ids = _find(columns, settings.ids, IDS)
    split = _find(columns, settings.split, SPLIT)
    wanted += [name for name in (ids, split) if name]
    arrays = _load(table, wanted)
    x = _input(arrays, inputs, text)
    names = _class_names(table, label)
    y, names = settle_labels(arrays[label], names, f"{text}: {label}")
    number = arrays[ids] if ids else np.arange(len(y))
    x, images = as_images(x, settings.layout, f"{text}: {inputs[0]}")
    require_finite(x, f"{text}: {inputs[0]}")
    rows = Rows(Arrays(x), y, number)
    parts = _by_column(rows, arrays[split], f"{text}: {split}") if split else {"train": rows}
    classes = len(names) if names else int(y.max()) + 1
    return Data(text, parts, classes, x.shape[1:], images, names)


def _input_columns(table: Table, settings: Settings, label: str) -> list[str]:
    """The input's key, or all columns of numbers."""
    columns = list(table.columns)
    if settings.inputs is not None:
        chosen = [name.strip() for name in settings.inputs.split(",")]
        for name in chosen:
            if name not in columns:
                raise _missing(table.source, "inputs", name, columns)
        return chosen
    known = _find(columns, None, INPUTS)
    if known is not None:
        return [known]
    rest = [n for n in columns if n != label and n.lower() not in (*IDS, *SPLIT, *NAMES)]
    numbers = [n for n in rest if re.match(r"u?int|float|double|half", table.columns[n].type)]
    if rest and numbers == rest and not any(table.columns[n].nested for n in rest):
        return rest
    raise _missing(table.source, "inputs", None, columns)


def _load(table: Table, names: Sequence[str]) -> Mapping[str, Array]:
    blocks = list(table.blocks(list(dict.fromkeys(names)), max(table.rows, 1)))
    if not blocks:
        raise InputError(f"{table.source}: there are no rows; nothing can be trained")
    return blocks[0]


def _input(arrays: Mapping[str, Array], names: Sequence[str], where: str) -> Array:
    if len(names) == 1:
        x = arrays[names[0]]
        return x[:, None] if x.ndim == 1 and x.dtype.kind != "U" else x
    for name in names:
        if arrays[name].ndim != 1:
            raise InputError(f"{where}: {name}: one of several inputs, but with several values")
    return np.stack([arrays[name].astype(np.float32) for name in names], axis=1)


def as_images(x: Array, layout: str, where: str) -> tuple[Array, bool]:
    """(N, H, W) and (N, H, W, C) as NCHW, without copying; others as they are."""
    if x.ndim == 3:
        return x[:, None], True
    if x.ndim != 4:
        return x, False
    first, last = x.shape[1] in CHANNELS, x.shape[3] in CHANNELS
    if layout == "auto" and first == last:
        raise InputError(
            f"{where}: shape {x.shape}: it cannot be told whether the channels come first or last; "
            "say --layout nchw or --layout nhwc"
        )
    last = last if layout == "auto" else layout == "nhwc"
    return (x.transpose(0, 3, 1, 2), True) if last else (x, True)


def require_finite(x: Array, where: str, rows: int = 4096) -> None:
    """Whether no input is NaN or infinite; looked at in blocks."""
    if x.dtype.kind in "iubU":
        return
    if x.dtype.kind != "f":
        raise InputError(f"{where}: expected numbers, found {x.dtype} values")
    bad = np.concatenate(
        [
            ~np.isfinite(x[i : i + rows]).reshape(len(x[i : i + rows]), -1).all(axis=1)
            for i in range(0, len(x), rows)
        ]
    )
    if bad.any():
        raise InputError(
            f"{where}: {int(bad.sum()):,} rows have values that are NaN or infinite, the first is "
            f"row {int(np.argmax(bad))} (counting from 0); drop or repair them"
        )


def _by_column(rows: Rows, split: Array, where: str) -> dict[str, Rows]:
    """Parts by a column that says train, val or test."""
    words = np.char.lower(split.astype(str))
    words = np.where(np.isin(words, ["valid", "validation"]), "val", words)
    bad = ~np.isin(words, PARTS)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{where}: {split[row]!r} in row {row} (counting from 0) is none of train, val, test"
        )
    if not (words == "train").any():
        raise InputError(f"{where}: no row says train")
    return {
        name: rows.take(np.flatnonzero(words == name)) for name in PARTS if (words == name).any()
    }


def _class_names(table: Table, label: str) -> tuple[str, ...] | None:
    names = table.names_of(label)
    if names:
        return names
    key = _find(list(table.columns), None, NAMES)
    return table.strings(key) if key and table.columns[key].rows != table.rows else None


def _find(columns: Sequence[str], chosen: str | None, known: Sequence[str]) -> str | None:
    if chosen is not None:
        return chosen if chosen in columns else None
    lower = {name.lower(): name for name in reversed(columns)}
    return next((lower[name] for name in known if name in lower), None)


def _missing(source: str, what: str, chosen: str | None, columns: Sequence[str]) -> InputError:
    there = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    if chosen is not None:
        return InputError(f"{source}: there is no {chosen!r}; there are {there}")
    return InputError(f"{source}: found no {what}; name them with --{what} KEY; there are {there}")
