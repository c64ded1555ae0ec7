"""Data by a function of the user's own; torch-free: datasets are only asked for their items.

It gives one part, or a dict of parts "train", "val" and "test". A part is (x, y) as arrays or
tensors, a dict with "x", "y" and perhaps "ids", or a dataset: len(d), and d[i] as (x, y).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.errors import CalibtoolError, InputError
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.data.dataset import PARTS, Arrays, Data, Inputs, Rows
from calibtool.train.data.text import Texts
from calibtool.train.data.validation import as_images, kind_of, require_finite, settle_parts
from calibtool.train.settings import Settings
from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class Items:
    """The inputs of a dataset, an item at a time."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, index: Array) -> Array:
        return np.stack([np.asarray(self.dataset[i][0]) for i in index.tolist()])


def read(text: str, settings: Settings) -> Data:
    """What the function gives, as data."""
    name, options = grammar.parse(text)
    function = factory_spec.load(name, "--data")
    try:
        given = grammar.call(function, options, {"seed": settings.seed}, f"--data {name}")
    except CalibtoolError:
        raise
    except Exception as error:
        raise factory_spec.failure(error, f"--data {name}") from error
    found = given if _is_parts(given) else {"train": given}
    if "train" not in found:
        raise InputError(f"{text}: gives {', '.join(found)}, but no 'train'")
    read_parts = {part: _part(found[part], f"{text}: {part}", settings) for part in found}
    labels, names = settle_parts({part: y for part, (_, y, _, _) in read_parts.items()}, None, text)
    parts = {part: Rows(x, labels[part], ids) for part, (x, _, ids, _) in read_parts.items()}
    classes = int(max(y.max() for y in labels.values())) + 1
    kind = read_parts["train"][3]
    shape = () if kind == "text" else parts["train"].inputs.take(np.arange(1)).shape[1:]
    return Data(text, parts, classes, shape, kind, names)


def _is_parts(given: Any) -> bool:
    return isinstance(given, Mapping) and bool(given) and set(given) <= set(PARTS)


def _part(given: Any, where: str, settings: Settings) -> tuple[Inputs, Array, Array, str]:
    """Inputs, labels and ids of a part, and the kind of the inputs."""
    if isinstance(given, Mapping):
        if not {"x", "y"} <= set(given):
            raise InputError(f"{where}: a dict needs 'x' and 'y'; it has {', '.join(given)}")
        x, y = given["x"], np.asarray(given["y"])
        ids = np.asarray(given["ids"]) if "ids" in given else np.arange(len(y))
    elif isinstance(given, (tuple, list)) and len(given) == 2:
        x, y = given[0], np.asarray(given[1])
        ids = np.arange(len(y))
    elif hasattr(given, "__len__") and hasattr(given, "__getitem__"):
        return _dataset(given, where)
    else:
        raise InputError(
            f"{where}: expected (x, y), a dict with x and y, or a dataset with a length; found "
            f"{type(given).__name__}"
        )
    if len(x) != len(y) or len(ids) != len(y):
        raise InputError(f"{where}: {len(x):,} inputs, {len(y):,} labels, {len(ids):,} ids")
    if len(x) and isinstance(x[0], str):
        return Texts(list(x)), y, ids, "text"
    values = as_images(np.asarray(x), settings.layout, where)
    require_finite(values, where)
    return Arrays(values), y, ids, kind_of(values)


def _dataset(given: Any, where: str) -> tuple[Inputs, Array, Array, str]:
    labels = getattr(given, "targets", getattr(given, "labels", None))
    try:
        first, _ = given[0]
        y = (
            np.asarray([item[1] for item in map(given.__getitem__, range(len(given)))])
            if (labels is None or len(labels) != len(given))
            else np.asarray(labels)
        )
    except Exception as error:
        raise factory_spec.failure(error, f"{where}: item (x, y) of the dataset") from error
    if not hasattr(first, "shape"):
        raise InputError(
            f"{where}: items are {type(first).__name__}; give tensors or arrays (a transform such "
            "as ToTensor makes them)"
        )
    return Items(given), y, np.arange(len(y)), kind_of(np.asarray(first)[None])
