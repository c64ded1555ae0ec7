"""Folders that Hugging Face's `datasets` writes: shards in an order, and names of classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from calibtool.data.files.document import Document, Entry
from calibtool.data.files.find import DICT, INFO, STATE, FileSet
from calibtool.errors import InputError, UsageError

METADATA = b"huggingface"  # the key in the metadata of an Arrow schema
NO_LABEL = -1  # what stands for a missing label in a column of classes
# Most bytes of these documents. They list shards and features; the largest class lists have some
# 1e5 names.
LARGEST = 1 << 26


@dataclass(frozen=True)
class DatasetFolder:
    """A data set in a folder.

    Attributes:
        files: its shards, streams of Arrow, in their order.
        classes: the names of the classes, by the column of labels.
    """

    files: FileSet
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def is_dataset(path: str | Path) -> bool:
    """Return whether a folder of this machine is a data set, or a dict of them; never raises."""
    try:
        folder = Path(path)
        return (folder / DICT).is_file() or all((folder / n).is_file() for n in (STATE, INFO))
    except (OSError, ValueError):
        return False


def open_dataset(path: str | Path, split: str | None = None) -> DatasetFolder:
    """Open the folder of a data set; of a dict of them, the one called `split`.

    Raises InputError for documents and shards that are damaged or missing, UsageError for a split
    that must be named, or that is not there.
    """
    folder = Path(path)
    if (folder / DICT).is_file():
        listed = _document(folder / DICT, "a list of splits")["splits"].texts()
        folder = folder / _chosen(listed, split, path)
    state = _document(folder / STATE, "the state of a data set")
    own = state.get("_split")
    if folder == Path(path) and split is not None and (own is None or own.text() != split):
        has = "a data set without splits" if own is None else f"the split {own.text()}"
        raise UsageError(f"--split {split}: {path} is {has}; leave out --split")
    shards = _shards(folder, state)
    info = _document(folder / INFO, "a description of a data set")
    return DatasetFolder(
        FileSet(str(path), shards, base=str(folder), several=True), class_names(None, info.plain())
    )


def _chosen(listed: tuple[str, ...], split: str | None, path: str | Path) -> str:
    """Return the split to be read: the one that was named, or the only one."""
    splits = ", ".join(listed)
    if split is None and len(listed) != 1:
        has = f"has the splits {splits}; name one of them with --split" if listed else "is empty"
        raise UsageError(f"{path}: {has}")
    if split is not None and split not in listed:
        raise UsageError(f"--split {split}: {path} has the splits {splits}")
    chosen = split or listed[0]
    _require_inside(chosen, Path(path) / DICT)
    return chosen


def class_names(
    schema_metadata: bytes | None, info: Mapping[str, Any] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes, by column, that a description of features holds.

    Args:
        schema_metadata: the value of METADATA in a schema, or None.
        info: the content of INFO, or None. It wins where both name a column.

    Metadata that cannot be read say nothing: the file's columns can be read without them.

    >>> class_names(None, {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}})
    {'label': ('a', 'b')}
    """
    described: Any = {}
    if schema_metadata is not None and len(schema_metadata) <= LARGEST:
        try:
            described = json.loads(schema_metadata)
        except (ValueError, RecursionError):
            described = {}
    inner = described.get("info") if isinstance(described, dict) else None
    return {**_classes(inner), **_classes(info)}


def _classes(info: Any) -> dict[str, tuple[str, ...]]:
    features = info.get("features") if isinstance(info, Mapping) else None
    names: dict[str, tuple[str, ...]] = {}
    for column, feature in features.items() if isinstance(features, Mapping) else ():
        if not isinstance(feature, Mapping) or feature.get("_type") != "ClassLabel":
            continue
        listed = feature.get("names")
        if isinstance(listed, list) and listed and all(isinstance(name, str) for name in listed):
            names[column] = tuple(listed)
    return names


def _document(path: Path, what: str) -> Entry:
    advice = "write the data set again with save_to_disk"
    return Document(str(path), what, advice).read_json(LARGEST)


def _shards(folder: Path, state: Entry) -> tuple[str, ...]:
    """Return the paths of the shards, in the order of the list: other files of the folder may be
    left from an older data set."""
    # versions before 2.0 kept a choice of rows in files of their own
    for key in ("_indices_data_files", "_indices_files"):
        indices = state.get(key)
        if indices is not None and indices.items():
            indices.refuse(
                "chooses rows by another file; call flatten_indices() before save_to_disk"
            )
    paths = []
    for entry in state["_data_files"].items():
        name = entry["filename"].text()
        _require_inside(name, folder / STATE)
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: no such file, which {folder / STATE} lists")
        paths.append(str(path))
    if not paths:
        state["_data_files"].refuse("names no files")
    return tuple(paths)


def _require_inside(name: str, where: Path) -> None:
    """Check that a name from a document stays in its folder."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name:
        raise InputError(f"{where}: {name!r} is no file of this folder")
