"""The registry of readers, chosen by the form of --data; torch-free."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from calibtool.data.files.formats import PICKLES, SUFFIXES
from calibtool.errors import InputError
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.data.dataset import Data
from calibtool.train.data.unseen import RawRows, Wanted
from calibtool.train.data.validation import require_rows
from calibtool.train.settings import Settings


@dataclass(frozen=True)
class Kind:
    """A kind of data: the module below calibtool.train with `read`, and what it reads."""

    module: str
    what: str


READERS: dict[str, Kind] = {
    "FILE.npz": Kind("data.arrays", "keys x and y; x: features, NHWC or NCHW images, token ids"),
    "FILE.parquet": Kind("data.arrays", "columns of numbers, or `text`, and `label`; also csv"),
    "FOLDER/": Kind("data.images", "images in a subfolder per class, or in train/, val/, test/"),
    "module:function": Kind("data.factory", "a function that returns arrays, datasets or loaders"),
}


def read(settings: Settings) -> Data:
    """Read the data of a run; validation and test rows may come from other sources.

    Raises InputError, UsageError.
    """
    data = _read(settings.data, settings)
    if settings.group and any(rows.groups is None for rows in data.parts.values()):
        raise InputError(f"--group {settings.group}: {data.source} has no columns to take it from")
    for name, text in (("val", settings.val_data), ("test", settings.test_data)):
        if text is None:
            continue
        if name in data.parts:
            raise InputError(f"{settings.data}: already has {name} rows; drop --{name}-data")
        data = _with_part(data, name, _read(text, settings))
    return _require_alike(data)


def _read(text: str, settings: Settings) -> Data:
    module = import_module(f"calibtool.train.{_reader(text).module}")
    data: Data = module.read(text, settings)
    return data


def read_new(text: str, settings: Settings, wanted: Wanted) -> RawRows:
    """Read rows to predict by the model of a run; raise InputError, UsageError."""
    module = import_module(f"calibtool.train.{_reader(text).module}")
    rows: RawRows = module.read_new(text, settings, wanted)
    require_rows(len(rows.inputs), text, wanted.part or "prediction")
    return rows


def _reader(text: str) -> Kind:
    prefix = text.partition(":")[0]
    if prefix in ("idx", "cifar10", "cifar100"):
        raise InputError(
            f"--data {text}: is read by a function; copy docs/examples/image_files.py and give "
            f"--data \"image_files.py:{'idx' if prefix == 'idx' else 'cifar'}(folder='...')\""
        )
    if prefix == "images" or Path(text).is_dir():
        return READERS["FOLDER/"]
    suffix = Path(text).suffix.lower()
    if suffix in SUFFIXES or suffix in PICKLES:  # the reader explains why pickles are refused
        return READERS["FILE.npz"]
    if factory_spec.is_factory(grammar.parse(text)[0]):
        return READERS["module:function"]
    raise InputError(
        f"--data {text}: is not a known file or folder; it must be one of {', '.join(READERS)}"
    )


def _with_part(data: Data, name: str, other: Data) -> Data:
    """Return the data with the rows of another source as a part; classes are matched by name."""
    if set(other.parts) != {"train"}:
        raise InputError(
            f"{other.source}: is already split; --{name}-data needs a source without a split"
        )
    ours, theirs = data.named_classes, other.named_classes
    if unknown := [name for name in theirs if name not in ours]:
        raise InputError(
            f"{other.source}: its class {unknown[0]!r} is not a class of {data.source}"
        )
    ids = np.array([ours.index(name) for name in theirs])
    rows = other.parts["train"]
    rows = replace(rows, labels=ids[rows.labels])
    return replace(data, parts={**data.parts, name: rows})


def _require_alike(data: Data) -> Data:
    """Check that every part has rows, with inputs of the same shape."""
    for name, rows in data.parts.items():
        require_rows(len(rows), data.source, name)
        if data.kind == "text":
            continue
        shape = rows.inputs.take(np.arange(1)).shape[1:]
        if shape != data.shape:
            raise InputError(
                f"{data.source}: inputs for {name} have shape {shape}, those for train {data.shape}"
            )
    return data
