"""Data from a function of the user; torch-free, since datasets are only indexed.

The function returns one part, or a dict of the parts "train", "val" and "test". A part is (x, y) as
arrays or tensors, a dict with "x", "y" and optionally "ids", or a dataset: len(d), and d[i] as
(x, y).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.errors import CalibtoolError, InputError
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.data.dataset import PARTS, Arrays, Data, RawPart, Rows
from calibtool.train.data.text import Texts
from calibtool.train.data.unseen import RawRows, Wanted
from calibtool.train.data.validation import (
    as_images,
    kind_of,
    require_finite,
    require_rows,
    settle_parts,
)
from calibtool.train.settings import Settings
from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class Items:
    """The inputs of a dataset, read one item at a time."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, index: Array) -> Array:
        return np.stack([np.asarray(self.dataset[i][0]) for i in index.tolist()])


def read(text: str, settings: Settings) -> Data:
    """Call the function and return its data.

    Raises UsageError if the function fails, InputError if it returns anything else than parts.
    """
    returned = _returned(text, settings)
    by_part = returned if _is_parts(returned) else {"train": returned}
    if "train" not in by_part:
        raise InputError(f"{text}: returns {', '.join(by_part)}, but not 'train'")
    raw = {part: _part(value, text, part, settings) for part, value in by_part.items()}
    labels, names = settle_parts({part: rows.labels for part, rows in raw.items()}, None, text)
    parts = {part: Rows(rows.inputs, labels[part], rows.ids) for part, rows in raw.items()}
    classes = max(int(y.max(initial=0)) for y in labels.values()) + 1
    kind = raw["train"].kind
    shape = () if kind == "text" else parts["train"].inputs.take(np.arange(1)).shape[1:]
    return Data(text, parts, classes, shape, kind, names)


def read_new(text: str, settings: Settings, wanted: Wanted) -> RawRows:
    """Call the function and return its rows: as for `read`, or x, (x, None) or a dict without y.

    Raises UsageError if the function fails, InputError if it returns anything else than rows.
    """
    returned = _returned(text, settings)
    parts = returned if _is_parts(returned) else {}
    wanted.require_part(text, parts)
    value = parts[wanted.part] if parts else returned
    part = wanted.part or "prediction"
    if isinstance(value, tuple) and len(value) == 2 and value[1] is None:
        value = value[0]
    if hasattr(value, "__array__") or _are_texts(value):
        value = {"x": value}
    if not isinstance(value, Mapping) or "x" not in value or value.get("y") is not None:
        raw = _part(value, text, part, settings)
        return RawRows(raw.inputs, raw.labels if wanted.labels else None, raw.ids, raw.kind)
    raw = _part({**value, "y": np.zeros(len(value["x"]), np.int64)}, text, part, settings)
    return RawRows(raw.inputs, None, raw.ids, raw.kind)


def _are_texts(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(text, str) for text in value)


def _returned(text: str, settings: Settings) -> Any:
    """Return what the function returns; raise UsageError if it fails."""
    name, options = grammar.parse(text)
    function = factory_spec.load(name, "--data")
    try:
        return grammar.call(function, options, {"seed": settings.seed}, f"--data {name}")
    except CalibtoolError:
        raise
    except Exception as error:
        raise factory_spec.failure(error, f"--data {name}") from error


def _is_parts(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and set(value) <= set(PARTS)


def _part(value: Any, source: str, part: str, settings: Settings) -> RawPart:
    """Return what the function returned for a part."""
    where = f"{source}: {part}"
    if isinstance(value, Mapping):
        if not {"x", "y"} <= set(value):
            raise InputError(f"{where}: a dict needs 'x' and 'y'; it has {', '.join(value)}")
        x, y = value["x"], np.asarray(value["y"])
        ids = np.asarray(value["ids"]) if "ids" in value else np.arange(len(y))
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        x, y = value[0], np.asarray(value[1])
        ids = np.arange(len(y))
    elif hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        require_rows(len(value), source, part)
        return _dataset(value, where)
    else:
        raise InputError(
            f"{where}: expected (x, y), a dict with x and y, or a dataset with a length; found "
            f"{type(value).__name__}"
        )
    if len(x) != len(y) or len(ids) != len(y):
        raise InputError(f"{where}: {len(x):,} inputs, {len(y):,} labels, {len(ids):,} ids")
    require_rows(len(y), source, part)
    if isinstance(x[0], str):
        return RawPart(Texts(list(x)), y, ids, "text")
    values = as_images(np.asarray(x), settings.layout, where)
    require_finite(values, where)
    return RawPart(Arrays(values), y, ids, kind_of(values))


def _dataset(dataset: Any, where: str) -> RawPart:
    # torchvision's datasets keep their labels in such a list; reading it spares decoding every item
    labels = getattr(dataset, "targets", getattr(dataset, "labels", None))
    try:
        first, _ = dataset[0]
        y = (
            np.asarray([item[1] for item in map(dataset.__getitem__, range(len(dataset)))])
            if (labels is None or len(labels) != len(dataset))
            else np.asarray(labels)
        )
    except Exception as error:
        raise factory_spec.failure(error, f"{where}: item (x, y) of the dataset") from error
    if not hasattr(first, "shape"):
        raise InputError(
            f"{where}: items are {type(first).__name__}; they must be tensors or arrays (use a "
            "transform such as ToTensor)"
        )
    return RawPart(Items(dataset), y, np.arange(len(y)), kind_of(np.asarray(first)[None]))
