"""Where data come from: one table of readers by what the text looks like; torch-free."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from calibtool.errors import InputError
from calibtool.train.rows import Data
from calibtool.train.settings import Settings

# how it is written -> module of calibtool.train, what it is
READERS: dict[str, tuple[str, str]] = {
    "FILE.npz": ("data_arrays", "keys x and y: features, images or token ids"),
    "FILE.parquet": ("data_arrays", "feature columns, or one of lists, and a label column"),
}


def read(settings: Settings) -> Data:
    """The data of a run, whole: its parts may come from up to three places."""
    data = _read(settings.data, settings)
    for name, text in (("val", settings.val_data), ("test", settings.test_data)):
        if text is None:
            continue
        if name in data.parts:
            raise InputError(f"{settings.data}: has {name} rows of its own; drop --{name}-data")
        other = _read(text, settings)
        data = _with_part(data, name, other)
    return data


def _read(text: str, settings: Settings) -> Data:
    module = import_module(f"calibtool.train.{_reader(text)}")
    found: Data = module.read(text, settings)
    return found


def _reader(text: str) -> str:
    suffix = Path(text).suffix.lower()
    if suffix in (".npz", ".npy", ".parquet", ".arrow", ".feather"):
        return "data_arrays"
    raise InputError(f"{text}: cannot be trained on; there are {', '.join(READERS)}")


def _with_part(data: Data, name: str, other: Data) -> Data:
    """The data with another file's rows as a part; shapes and classes must agree."""
    if other.shape != data.shape:
        raise InputError(
            f"{other.source}: inputs have shape {other.shape}, those of {data.source} {data.shape}"
        )
    if other.class_names != data.class_names or other.classes > data.classes:
        raise InputError(
            f"{other.source}: its classes are not those of {data.source} "
            f"({other.classes} and {data.classes}); both need the same labels"
        )
    if set(other.parts) != {"train"}:
        raise InputError(f"{other.source}: has a split of its own; --{name}-data takes it whole")
    return replace(data, parts={**data.parts, name: other.parts["train"]})
