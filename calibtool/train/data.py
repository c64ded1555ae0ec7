"""Where data come from: one table of readers by what the text looks like; torch-free."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from calibtool.errors import InputError
from calibtool.files import PICKLES, SUFFIXES
from calibtool.train import factory, grammar
from calibtool.train.rows import Data
from calibtool.train.settings import Settings


@dataclass(frozen=True)
class Reader:
    """A line of the table: the module of calibtool.train with its `read`, and what it reads."""

    module: str
    what: str


READERS: dict[str, Reader] = {
    "FILE.npz": Reader("data_arrays", "keys x and y; x: features, NHWC or NCHW images, token ids"),
    "FILE.parquet": Reader("data_arrays", "columns of numbers, or `text`, and `label`; also csv"),
    "FOLDER/": Reader("data_images", "images in a sub-folder a class, or train/, val/, test/"),
    "idx:FOLDER": Reader("data_bytes", "train-images-idx3-ubyte(.gz) and so on: the MNIST family"),
    "cifar10:FOLDER": Reader("data_bytes", "the binary batches; cifar100: too"),
    "module:function": Reader("data_factory", "a function that gives arrays or datasets"),
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
    return data


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
    if factory.is_factory(grammar.parse(text)[0]):
        return READERS["module:function"]
    raise InputError(
        f"--data {text}: is no file or folder that is read; there are {', '.join(READERS)}"
    )


def _with_part(data: Data, name: str, other: Data) -> Data:
    """The data with another file's rows as a part; shapes and classes must agree."""
    if other.shape != data.shape or other.kind != data.kind:
        raise InputError(
            f"{other.source}: holds {other.kind} of shape {other.shape}, {data.source} "
            f"{data.kind} of shape {data.shape}"
        )
    if other.class_names != data.class_names or other.classes > data.classes:
        raise InputError(
            f"{other.source}: its {other.classes} classes are not the {data.classes} of "
            f"{data.source}; both need the same labels"
        )
    if set(other.parts) != {"train"}:
        raise InputError(f"{other.source}: has a split of its own; --{name}-data takes it whole")
    return replace(data, parts={**data.parts, name: other.parts["train"]})
