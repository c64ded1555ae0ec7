"""npz, parquet, Arrow and csv: inputs and labels by key or column; torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from calibtool.data.files.open import open_table
from calibtool.data.files.reader import Reader
from calibtool.errors import InputError
from calibtool.train.data.dataset import PARTS, Arrays, Data, Inputs, Rows
from calibtool.train.data.text import Texts
from calibtool.train.data.validation import as_images, kind_of, require_finite, settle_parts
from calibtool.train.settings import Settings
from calibtool.types import Array

INPUTS = ("x", "inputs", "features", "embeddings", "images", "tokens", "text", "texts", "data")
LABELS = ("y", "labels", "label", "target", "targets")
IDS = ("ids", "id")
SPLIT = ("split", "part")
NAMES = ("classes", "class_names", "label_names")
SUFFIXES = {"_train": "train", "_val": "val", "_valid": "val", "_test": "test"}
BLOCK = 1000  # texts read at a time


class Raw(NamedTuple):
    """A part as it was read."""

    inputs: Inputs
    labels: Array
    ids: Array
    split: Array | None
    kind: str


def read(text: str, settings: Settings) -> Data:
    """One file: `x` and `y`, or `x_train`, `y_train`, `x_test`, ... for a split of its own."""
    table = open_table(text)
    raw = {part: _part(table, settings, end) for end, part in _suffixes(table).items()}
    where = f"{text}: {_find(table, settings.labels, LABELS) or 'labels'}"
    labels, names = settle_parts(
        {part: r.labels for part, r in raw.items()}, _class_names(table, settings), where
    )
    parts = {part: Rows(r.inputs, labels[part], r.ids) for part, r in raw.items()}
    first = raw["train"]
    if first.split is not None:
        parts = _by_column(parts["train"], first.split, f"{text}: the split")
    classes = len(names) if names else int(max(ids.max() for ids in labels.values())) + 1
    shape = () if first.kind == "text" else first.inputs.take(np.arange(1)).shape[1:]
    return Data(text, parts, classes, shape, first.kind, names)


def _suffixes(table: Reader) -> dict[str, str]:
    """The parts that a file has by the names of its keys."""
    columns = {name.lower() for name in table.columns}
    ends = {
        end: part for end, part in SUFFIXES.items() if any(name + end in columns for name in INPUTS)
    }
    return ends if "_train" in ends else {"": "train"}


def _part(table: Reader, settings: Settings, end: str) -> Raw:
    label = _find(table, settings.labels, LABELS, end)
    if label is None:
        raise _missing(table, "labels", settings.labels)
    names = _input_columns(table, settings, label, end)
    ids = _find(table, settings.ids, IDS, end)
    split = None if end else _find(table, settings.split, SPLIT)
    for option, chosen, found in (("ids", settings.ids, ids), ("split", settings.split, split)):
        if chosen is not None and found is None:
            raise _missing(table, option, chosen)
    inputs, kind = _inputs(table, names, settings)
    rest = [name for name in (label, ids, split) if name]
    arrays = next(table.blocks(rest, max(table.rows, 1)), None)
    if arrays is None or not len(inputs):
        raise InputError(f"{table.source}: there are no rows; nothing can be trained")
    if len(inputs) != len(arrays[label]):
        raise InputError(
            f"{table.source}: {len(inputs):,} rows of {names[0]}, {len(arrays[label]):,} of {label}"
        )
    number = arrays[ids] if ids else np.arange(len(inputs))
    return Raw(inputs, arrays[label], number, arrays[split] if split else None, kind)


def _inputs(table: Reader, names: Sequence[str], settings: Settings) -> tuple[Inputs, str]:
    """The inputs and their kind."""
    where = f"{table.source}: {names[0]}"
    if _is_text(table, names[0]):
        if len(names) > 1:
            raise InputError(f"{where}: holds text; text is trained on from one column")
        blocks = table.blocks(names, BLOCK)
        return Texts([one for block in blocks for one in block[names[0]].tolist()]), "text"
    arrays = next(table.blocks(names, max(table.rows, 1)), {name: np.zeros(0) for name in names})
    x = arrays[names[0]]
    if len(names) > 1:
        deep = next((name for name in names if arrays[name].ndim != 1), None)
        if deep is not None:
            raise InputError(f"{table.source}: {deep}: one of several inputs, with several values")
        x = np.stack([arrays[name].astype(np.float32) for name in names], axis=1)
    x = as_images(x[:, None] if x.ndim == 1 else x, settings.layout, where)
    require_finite(x, where)
    return Arrays(x), kind_of(x)


def _is_text(table: Reader, name: str) -> bool:
    return bool(
        re.match(
            r"<U|>U|(large_)?string|dictionary<values=(large_)?string", table.columns[name].type
        )
    )


def _input_columns(table: Reader, settings: Settings, label: str, end: str) -> list[str]:
    """The input's key, or all columns of numbers."""
    columns = list(table.columns)
    if settings.inputs is not None:
        chosen = [name.strip() + end for name in settings.inputs.split(",")]
        for name in chosen:
            if name not in columns:
                raise _missing(table, "inputs", name)
        return chosen
    known = _find(table, None, INPUTS, end)
    if known is not None:
        return [known]
    rest = [n for n in columns if n != label and n.lower() not in (*IDS, *SPLIT, *NAMES)]
    rest = [n for n in rest if n not in (settings.ids, settings.split)]
    numbers = [n for n in rest if re.match(r"u?int|float|double|half", table.columns[n].type)]
    if rest and numbers == rest and not any(table.columns[n].nested for n in rest):
        return rest
    raise _missing(table, "inputs", None)


def _by_column(rows: Rows, split: Array, where: str) -> dict[str, Rows]:
    """Parts by a column that says train, val or test."""
    words = np.char.lower(split.astype(str))
    words = np.where(np.isin(words, ["valid", "validation"]), "val", words)
    bad = ~np.isin(words, PARTS)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{where}: {split[row]!s} in row {row} (counting from 0) is none of train, val, test"
        )
    if not (words == "train").any():
        raise InputError(f"{where}: no row says train")
    return {
        name: rows.take(np.flatnonzero(words == name)) for name in PARTS if (words == name).any()
    }


def _class_names(table: Reader, settings: Settings) -> tuple[str, ...] | None:
    """Names that the file keeps beside the labels, in the order of their ids."""
    label = _find(table, settings.labels, LABELS)
    if label and (names := table.names_of(label)):
        return names
    key = _find(table, None, NAMES)
    return table.strings(key) if key and table.columns[key].rows != table.rows else None


def _find(table: Reader, chosen: str | None, known: Sequence[str], end: str = "") -> str | None:
    if chosen is not None:
        return chosen + end if chosen + end in table.columns else None
    lower = {name.lower(): name for name in reversed(list(table.columns))}
    return next((lower[name + end] for name in known if name + end in lower), None)


def _missing(table: Reader, what: str, chosen: str | None) -> InputError:
    columns = list(table.columns)
    there = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    if chosen is not None:
        return InputError(f"{table.source}: --{what}: there is no {chosen!r}; there are {there}")
    return InputError(
        f"{table.source}: found no {what}; name them with --{what} KEY; there are {there}"
    )
