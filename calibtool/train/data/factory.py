"""Data from a function of the user; torch-free, since datasets are only indexed.

The function returns one part, or a dict of the parts "train", "val" (or "validation") and "test". A
part is (x, y) as arrays or tensors; a dict of columns, or a data set of Hugging Face, with inputs
and labels under the names that files have; a dataset, len(d) and d[i] as (x, y) or as such a dict;
or a DataLoader, whose dataset and collate function are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.errors import InputError
from calibtool.train import grammar
from calibtool.train.data import arrays, factory_spec, images
from calibtool.train.data.dataset import PART_NAMES, Arrays, Data, RawPart
from calibtool.train.data.text import Texts
from calibtool.train.data.unseen import RawRows, Wanted
from calibtool.train.data.validation import as_images, kind_of, require_finite, require_rows, settle
from calibtool.train.settings import Settings
from calibtool.types import Array

# what Hugging Face calls inputs, besides the names of files
INPUTS = (*arrays.INPUTS, "image", "img", "pixel_values", "input_ids", "sentence")


@dataclass(frozen=True, eq=False)
class Items:
    """The inputs of a dataset, read one item at a time: item[key], or those of a collate function.

    Images of Pillow become arrays, scaled to `size` if it is given.
    """

    dataset: Any
    key: int | str = 0
    collate: Callable[[list[Any]], Any] | None = None
    size: int | None = None
    draws = True

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, index: Array) -> Array:
        items = [self.item(i) for i in index.tolist()]
        if self.collate is not None:
            return np.asarray(self.collate(items)[self.key])
        values = [images.as_array(item[self.key], self.size) for item in items]
        if len({value.shape for value in values}) > 1:
            raise InputError(
                f"items of the dataset have shapes {values[0].shape} and others; they must be "
                "equal: use a transform, a collate function, or --image-size"
            )
        return np.stack(values)

    def item(self, i: int) -> Any:
        """Return an item; raise UsageError with what the user's dataset raises."""
        try:
            return self.dataset[i]
        except Exception as error:
            raise factory_spec.failure(error, f"item {i} of the dataset") from error


def read(text: str, settings: Settings) -> Data:
    """Call the function and return its data.

    Raises UsageError if the function fails, InputError if it returns anything else than parts.
    """
    returned = _returned(text, settings)
    by_part = _parts(returned) or {"train": returned}
    if "train" not in by_part:
        raise InputError(f"{text}: returns {', '.join(by_part)}, but not 'train'")
    raw = {part: _part(value, f"{text}: {part}", settings) for part, value in by_part.items()}
    return settle(text, raw, _class_names(by_part["train"], settings), text)


def read_new(text: str, settings: Settings, wanted: Wanted) -> RawRows:
    """Call the function and return its rows: as for `read`, or without labels (x, columns).

    Raises UsageError if the function fails, InputError if it returns anything else than rows.
    """
    returned = _returned(text, settings)
    parts = _parts(returned)
    wanted.require_part(text, parts)
    value = parts[wanted.part] if parts else returned
    where = f"{text}: {wanted.part or 'prediction'}"
    if isinstance(value, tuple) and len(value) == 2 and value[1] is None:
        value = value[0]
    if hasattr(value, "__array__") or _are_texts(value):
        value = {"x": value}
    columns = _columns(value)
    key = arrays.find(columns, settings.inputs, INPUTS) if columns else None
    label = arrays.find(columns, settings.labels, arrays.LABELS) if columns else None
    unlabelled = label is None or (isinstance(value, Mapping) and value[label] is None)
    if columns is None or key is None or not unlabelled:  # without inputs, `_part` says so
        raw = _part(value, where, settings)
        return RawRows(raw.inputs, raw.labels if wanted.labels else None, raw.ids, raw.kind)
    raw = _beside(value, columns, key, np.zeros(len(value[key]), np.int64), where, settings)
    return RawRows(raw.inputs, None, raw.ids, raw.kind)


def _are_texts(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(text, str) for text in value)


def _returned(text: str, settings: Settings) -> Any:
    """Return what the function returns; raise UsageError if it fails."""
    name, options = grammar.parse(text)
    function = factory_spec.load(name, "--data")
    with factory_spec.told(f"--data {name}"):
        return grammar.call(function, options, {"seed": settings.seed}, f"--data {name}")


def _parts(value: Any) -> dict[str, Any]:
    """Return what the function returned by part; empty if it returned one part."""
    if isinstance(value, Mapping) and value and set(value) <= set(PART_NAMES):
        return {PART_NAMES[part]: rows for part, rows in value.items()}
    return {}


def _part(value: Any, where: str, settings: Settings) -> RawPart:
    """Return what the function returned for a part."""
    if hasattr(value, "collate_fn") and hasattr(value, "dataset"):  # a DataLoader
        plain = getattr(value.collate_fn, "__name__", "") in ("default_collate", "default_convert")
        return _dataset(value.dataset, where, settings, None if plain else value.collate_fn)
    columns = _columns(value)
    if columns is not None:
        return _named(value, columns, where, settings)
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return _in_memory(value[0], np.asarray(value[1]), where, settings)
    return _dataset(value, where, settings, None)


def _columns(value: Any) -> Sequence[str] | None:
    """Return the columns of a dict, or of a data set of Hugging Face; None for anything else."""
    if isinstance(value, Mapping):
        return list(value)
    names = getattr(value, "column_names", None)
    return names if isinstance(names, list) else None


def _class_names(value: Any, settings: Settings) -> tuple[str, ...] | None:
    """Return the names of ClassLabel, by which Hugging Face stores classes as numbers."""
    features = getattr(value, "features", None)
    if not isinstance(features, Mapping):
        return None
    label = arrays.find(list(features), settings.labels, arrays.LABELS)
    return tuple(getattr(features[label], "names", ())) or None if label else None


def _named(value: Any, columns: Sequence[str], where: str, settings: Settings) -> RawPart:
    """Return the part of a dict of columns, or of a data set of Hugging Face."""
    key = _key(columns, settings.inputs, INPUTS, "inputs", where)
    y = np.asarray(value[_key(columns, settings.labels, arrays.LABELS, "labels", where)])
    return _beside(value, columns, key, y, where, settings)


def _beside(
    value: Any, columns: Sequence[str], key: str, y: Array, where: str, settings: Settings
) -> RawPart:
    """Return the part of columns with the inputs `key` and labels beside them."""
    require_rows(len(y), *where.rsplit(": ", 1))
    known = {"ids": arrays.find(columns, settings.ids, arrays.IDS), "groups": settings.group}
    named = {k: np.asarray(value[v]) for k, v in known.items() if v is not None and v in columns}
    if not isinstance(value, Mapping) and hasattr(value[0][key], "convert"):  # images of Pillow
        items = Items(value, key, None, settings.image_size)
        ids = named.get("ids", np.arange(len(y)))
        kind = kind_of(items.take(np.arange(1)))
        return RawPart(items, y, ids, kind, groups=named.get("groups"))
    return _in_memory(value[key], y, where, settings, **named)


def _key(
    columns: Sequence[str], chosen: str | None, known: Sequence[str], what: str, where: str
) -> str:
    found = arrays.find(columns, chosen, known)
    if found is None:
        raise InputError(
            f"{where}: found no {what} among {', '.join(columns)}; name them with --{what} KEY"
        )
    return found


def _in_memory(
    x: Any,
    y: Array,
    where: str,
    settings: Settings,
    ids: Array | None = None,
    groups: Array | None = None,
) -> RawPart:
    ids = np.arange(len(y)) if ids is None else ids
    if not len(x) == len(y) == len(ids) == (len(y) if groups is None else len(groups)):
        raise InputError(f"{where}: {len(x):,} inputs, {len(y):,} labels, {len(ids):,} ids")
    require_rows(len(y), *where.rsplit(": ", 1))
    if isinstance(x[0], str):
        return RawPart(Texts(list(x)), y, ids, "text", groups=groups)
    try:
        values = np.asarray(x if hasattr(x, "shape") else list(x))
    except ValueError as error:
        raise InputError(f"{where}: inputs differ in length; pad them to one") from error
    values = as_images(values, settings.layout, where)
    require_finite(values, where)
    return RawPart(Arrays(values), y, ids, kind_of(values), groups=groups)


def _dataset(
    dataset: Any, where: str, settings: Settings, collate: Callable[[list[Any]], Any] | None
) -> RawPart:
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise InputError(
            f"{where}: expected (x, y), a dict with x and y, a dataset with a length, or a "
            f"DataLoader of one; found {type(dataset).__name__}"
        )
    require_rows(len(dataset), *where.rsplit(": ", 1))
    first = Items(dataset).item(0)
    x: int | str = 0
    y: int | str = 1
    if isinstance(first, Mapping):
        x = _key(list(first), settings.inputs, INPUTS, "inputs", where)
        y = _key(list(first), settings.labels, arrays.LABELS, "labels", where)
    elif not isinstance(first, (tuple, list)) or len(first) != 2:
        raise InputError(f"{where}: item (x, y) of the dataset: found {type(first).__name__}")
    items = Items(dataset, x, collate, settings.image_size)
    # torchvision's datasets keep their labels in such a list; reading it spares decoding every item
    labels = getattr(dataset, "targets", getattr(dataset, "labels", None))
    if labels is None or len(labels) != len(dataset):
        labels = [items.item(i)[y] for i in range(len(dataset))]
    if collate is None and isinstance(first[x], str):
        texts = [items.item(i)[x] for i in range(len(dataset))]
        return _in_memory(texts, np.asarray(labels), where, settings)
    one = items.take(np.arange(1))
    if one.dtype.kind not in "biuf":
        raise InputError(
            f"{where}: items are {type(first[x]).__name__}; they must be tensors, arrays, images "
            "or texts"
        )
    return RawPart(items, np.asarray(labels), np.arange(len(dataset)), kind_of(one))
