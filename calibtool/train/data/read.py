"""Where data come from: one table of readers by what the text looks like; torch-free."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from calibtool.data.files.open import PICKLES, SUFFIXES
from calibtool.errors import InputError
from calibtool.train import grammar
from calibtool.train.data import factory_spec
from calibtool.train.data.dataset import Data
from calibtool.train.settings import Settings


@dataclass(frozen=True)
class Reader:
    """A line of the table: the module of calibtool.train with its `read`, and what it reads."""

    module: str
    what: str


READERS: dict[str, Reader] = {
    "FILE.npz": Reader("data.arrays", "keys x and y; x: features, NHWC or NCHW images, token ids"),
    "FILE.parquet": Reader("data.arrays", "columns of numbers, or `text`, and `label`; also csv"),
    "FOLDER/": Reader("data.images", "images in a sub-folder a class, or train/, val/, test/"),
    "idx:FOLDER": Reader("data.bytes", "train-images-idx3-ubyte(.gz) and so on: the MNIST family"),
    "cifar10:FOLDER": Reader("data.bytes", "the binary batches; cifar100: too"),
    "module:function": Reader("data.factory", "a function that gives arrays or datasets"),
}


def read(settings: Settings) -> Data:
    """The data of a run, whole: validation and test rows may come from elsewhere."""
    data = _read(settings.data, settings)
    for name, text in (("val", settings.val_data), ("test", settings.test_data)):
        if text is None:
            continue
        if name in data.parts:
            raise InputError(f"{settings.data}: has {name} rows of its own; drop --{name}-data")
        data = _with_part(data, name, _read(text, settings))
    return _require_alike(data)


def _read(text: str, settings: Settings) -> Data:
    module = import_module(f"calibtool.train.{_reader(text).module}")
    found: Data = module.read(text, settings)
    return found


def _reader(text: str) -> Reader:
    prefix = text.partition(":")[0]
    if prefix in ("idx", "cifar10", "cifar100"):
        return READERS["cifar10:FOLDER"]
    if prefix == "images" or Path(text).is_dir():
        return READERS["FOLDER/"]
    suffix = Path(text).suffix.lower()
    if suffix in SUFFIXES or suffix in PICKLES:  # the reader says why pickles are not read
        return READERS["FILE.npz"]
    if factory_spec.is_factory(grammar.parse(text)[0]):
        return READERS["module:function"]
    raise InputError(
        f"--data {text}: is no file or folder that is read; there are {', '.join(READERS)}"
    )


def _with_part(data: Data, name: str, other: Data) -> Data:
    """The data with another file's rows as a part, whose classes are found by their names."""
    if set(other.parts) != {"train"}:
        raise InputError(f"{other.source}: has a split of its own; --{name}-data takes it whole")
    ours, theirs = (one.class_names or tuple(map(str, range(one.classes))) for one in (data, other))
    if unknown := [one for one in theirs if one not in ours]:
        raise InputError(
            f"{other.source}: its class {unknown[0]!r} is none of those of {data.source}"
        )
    place = np.array([ours.index(one) for one in theirs])
    rows = other.parts["train"]
    rows = replace(rows, labels=place[rows.labels])
    return replace(data, parts={**data.parts, name: rows})


def _require_alike(data: Data) -> Data:
    """Whether every part has rows, of the same shape."""
    for name, rows in data.parts.items():
        if not len(rows):
            raise InputError(f"{data.source}: there are no rows for {name}")
        shape = rows.inputs.take(np.arange(1)).shape[1:]
        if data.kind != "text" and shape != data.shape:
            raise InputError(
                f"{data.source}: inputs for {name} have shape {shape}, those for train {data.shape}"
            )
    return data
