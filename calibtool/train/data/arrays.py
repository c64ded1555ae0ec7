"""npz, parquet, Arrow and csv files: inputs and labels by key or column; torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from calibtool.data.files.open import open_table
from calibtool.data.files.reader import Reader
from calibtool.errors import InputError, row_name
from calibtool.train.data.dataset import PARTS, Arrays, Data, Inputs, RawPart, Rows, parts_of
from calibtool.train.data.text import Texts
from calibtool.train.data.unseen import RawRows, Wanted
from calibtool.train.data.validation import as_images, kind_of, require_finite, require_rows, settle
from calibtool.train.settings import Settings
from calibtool.types import Array

INPUTS = ("x", "inputs", "features", "embeddings", "images", "tokens", "text", "texts", "data")
LABELS = ("y", "labels", "label", "target", "targets")
IDS = ("ids", "id")
SPLIT = ("split", "part")
NAMES = ("classes", "class_names", "label_names")
SUFFIXES = {"_train": "train", "_val": "val", "_valid": "val", "_test": "test"}
BLOCK = 1000  # texts read at a time: bounds the memory of a block, not the result


def read(text: str, settings: Settings) -> Data:
    """Read a file with `x` and `y`, or with `x_train`, `y_train`, `x_test`, ... if it is split.

    Raises InputError for missing keys, and for inputs or labels that cannot be trained on.
    """
    table = open_table(text)
    raw = {part: _part(table, settings, suffix, part) for suffix, part in _suffixes(table).items()}
    where = f"{text}: {_find(table, settings.labels, LABELS) or 'labels'}"
    data = settle(text, raw, _class_names(table, settings), where)
    if (split := raw["train"].split) is not None:
        parts = _by_column(data.parts["train"], split, f"{text}: the split")
        data = replace(data, parts=parts)
    return replace(data, columns=_columns(table, settings, data.kind))


def _columns(table: Reader, settings: Settings, kind: str) -> tuple[str, ...] | None:
    """Return the columns of the inputs, in order, where each holds one number per row."""
    label = _find(table, settings.labels, LABELS)
    if label is None or kind == "text":
        return None
    names = _input_columns(table, settings, label, "")
    return tuple(names) if len(names) > 1 else None


def read_new(text: str, settings: Settings, wanted: Wanted) -> RawRows:
    """Read rows to predict: the inputs, and labels and ids if the file has them.

    Raises InputError for missing keys, and for inputs that a network cannot take.
    """
    table = open_table(text)
    suffixes = _suffixes(table)
    split = _find(table, settings.split, SPLIT) if "" in suffixes else None
    if split is None or not wanted.part:
        wanted.require_part(text, [part for end, part in suffixes.items() if end])
    suffix = next((end for end, part in suffixes.items() if end and part == wanted.part), "")
    label = _find(table, settings.labels, LABELS, suffix)
    columns = {"labels": label, "ids": _find(table, settings.ids, IDS, suffix)}
    for option, column in columns.items():
        if option in wanted.required and column is None:
            raise _missing(table, option, getattr(settings, option))
    names = _new_columns(table, settings, wanted, label, suffix)
    label = label if wanted.labels else None
    columns |= {"labels": label, "split": split}
    inputs, kind, found = _rows(table, settings, names, columns, wanted.part or "prediction")
    of_classes = _class_names(table, settings) if label else None
    rows = RawRows(inputs, found["labels"], found["ids"], kind, of_classes)
    if found["split"] is None or not wanted.part:
        return rows
    return rows.of_part(found["split"], wanted.part, f"{text}: the split")


def _new_columns(
    table: Reader, settings: Settings, wanted: Wanted, label: str | None, suffix: str
) -> list[str]:
    """Return the columns of the inputs: those that the run was trained on, in their order.

    Raises InputError if that order is not known, as of runs of older versions.
    """
    if wanted.data.columns is None or "inputs" in wanted.required:
        names = _input_columns(table, settings, label or settings.labels or "", suffix)
        if len(names) > 1 and settings.inputs is None:
            raise InputError(
                f"{table.source}: has {len(names)} columns of inputs, and {wanted.data.source} "
                "does not say in which order it takes them; add --inputs with all of them, as in "
                f"--inputs {','.join(names[:2])},..."
            )
        return names
    for name in wanted.data.columns:
        if name not in table.columns:
            raise _missing(table, "inputs", name)
    return list(wanted.data.columns)


def _suffixes(table: Reader) -> dict[str, str]:
    """Return the part of each suffix of keys, or one part without a suffix."""
    columns = {name.lower() for name in table.columns}
    parts = {
        suffix: part
        for suffix, part in SUFFIXES.items()
        if any(name + suffix in columns for name in INPUTS)
    }
    return parts if "_train" in parts else {"": "train"}


def _part(table: Reader, settings: Settings, suffix: str, part: str) -> RawPart:
    """Return the part whose keys end with `suffix`."""
    label = _find(table, settings.labels, LABELS, suffix)
    if label is None:
        raise _missing(table, "labels", settings.labels)
    names = _input_columns(table, settings, label, suffix)
    columns = {
        "ids": _find(table, settings.ids, IDS, suffix),
        "split": None if suffix else _find(table, settings.split, SPLIT),
        "group": _find(table, settings.group, (), suffix),
    }
    for option, column in columns.items():
        if (chosen := getattr(settings, option)) is not None and column is None:
            raise _missing(table, option, chosen)
    inputs, kind, found = _rows(table, settings, names, {"labels": label, **columns}, part)
    assert found["labels"] is not None
    return RawPart(inputs, found["labels"], found["ids"], kind, found["split"], found["group"])


def _rows(
    table: Reader,
    settings: Settings,
    names: Sequence[str],
    columns: Mapping[str, str | None],
    part: str,
) -> tuple[Inputs, str, dict[str, Any]]:
    """Return the inputs in the columns `names`, their kind, and the arrays of other columns by what
    they are, or None; ids are counted if there are none.

    Raises InputError without rows, and for columns that have another number of rows.
    """
    known = list(dict.fromkeys(name for name in columns.values() if name))
    arrays = next(table.blocks(known, max(table.rows, 1)), None) if known else {}
    require_rows(arrays is not None, table.source, part)
    inputs, kind = _inputs(table, names, settings)
    for name, array in (arrays or {}).items():
        if len(array) != len(inputs):
            raise InputError(
                f"{table.source}: {len(inputs):,} rows of {names[0]}, but {len(array):,} of {name}"
            )
    found = {what: arrays[name] if arrays and name else None for what, name in columns.items()}
    if found["ids"] is None:
        found["ids"] = np.arange(len(inputs))
    return inputs, kind, found


def _inputs(table: Reader, names: Sequence[str], settings: Settings) -> tuple[Inputs, str]:
    """Return the inputs and their kind; see `Data.kind`."""
    where = f"{table.source}: {names[0]}"
    text = next((name for name in names if _is_text(table, name)), None)
    if text is not None:
        if len(names) > 1:
            raise InputError(
                f"{table.source}: {text}: holds text; text cannot be combined with other inputs"
            )
        blocks = table.blocks(names, BLOCK)
        texts = [text for block in blocks for text in block[names[0]].tolist()]
        if any(not isinstance(text, str) for text in texts):
            raise InputError(f"{where}: one text per row is expected, not lists of texts")
        return Texts(texts), "text"
    arrays = next(table.blocks(names, max(table.rows, 1)), {name: np.zeros(0) for name in names})
    x = arrays[names[0]]
    if len(names) > 1:
        nested = next((name for name in names if arrays[name].ndim != 1), None)
        if nested is not None:
            raise InputError(
                f"{table.source}: {nested}: has several values per row; several inputs must have "
                "one value per row each"
            )
        for name in names:
            require_finite(arrays[name], f"{table.source}: {name}")
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


def _input_columns(table: Reader, settings: Settings, label: str, suffix: str) -> list[str]:
    """Return the key of the inputs, or all other columns if each holds one number per row."""
    columns = list(table.columns)
    if settings.inputs is not None:
        chosen = [name.strip() + suffix for name in settings.inputs.split(",")]
        for name in chosen:
            if name not in columns:
                raise _missing(table, "inputs", name)
        return chosen
    known = _find(table, None, INPUTS, suffix)
    if known is not None:
        return [known]
    rest = [n for n in columns if n != label and n.lower() not in (*IDS, *SPLIT, *NAMES)]
    rest = [n for n in rest if n not in (settings.ids, settings.split, settings.group)]
    numbers = [n for n in rest if re.match(r"u?int|float|double|half", table.columns[n].type)]
    if rest and numbers == rest and not any(table.columns[n].nested for n in rest):
        return rest
    raise _missing(table, "inputs", None)


def _by_column(rows: Rows, split: Array, where: str) -> dict[str, Rows]:
    """Return the parts of a column whose values are train, val or test."""
    words = parts_of(split)
    bad = ~np.isin(words, PARTS)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"{where}: {split[row]!s} in {row_name(row)} must be train, val or test")
    if not (words == "train").any():
        raise InputError(f"{where}: no row has the value train")
    return {
        name: rows.take(np.flatnonzero(words == name)) for name in PARTS if (words == name).any()
    }


def _class_names(table: Reader, settings: Settings) -> tuple[str, ...] | None:
    """Return the class names stored in the file, in the order of their ids.

    A key such as `classes` that has one value per row is a column, not a list of names.
    """
    label = _find(table, settings.labels, LABELS)
    if label and (names := table.names_of(label)):
        return names
    key = _find(table, None, NAMES)
    return table.strings(key) if key and table.columns[key].rows != table.rows else None


def _find(table: Reader, chosen: str | None, known: Sequence[str], suffix: str = "") -> str | None:
    return find(list(table.columns), chosen, known, suffix)


def find(
    columns: Sequence[str], chosen: str | None, known: Sequence[str], suffix: str = ""
) -> str | None:
    """Return the chosen column, or the first known name in any case, if there is one."""
    if chosen is not None:
        return chosen + suffix if chosen + suffix in columns else None
    by_lower = {name.lower(): name for name in reversed(columns)}
    return next((by_lower[name + suffix] for name in known if name + suffix in by_lower), None)


def _missing(table: Reader, what: str, chosen: str | None) -> InputError:
    columns = list(table.columns)
    listed = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    if chosen is not None:
        return InputError(
            f"{table.source}: --{what}: there is no {chosen!r}; the columns are {listed}"
        )
    return InputError(
        f"{table.source}: found no {what}; name them with --{what} KEY; the columns are {listed}"
    )
