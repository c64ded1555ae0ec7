"""HDF5: datasets in groups, called by their paths, read a block at a time by h5py."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.data.files.array_table import ArrayTable, Rows, StoredArray, require_possible
from calibtool.data.files.store import open_checked
from calibtool.errors import InputError, brief
from calibtool.types import Array

# How files begin; the signature may also stand at 512, 1024, ... bytes, after a block of the user.
# https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, "Format Signature"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Bytes of chunks that are kept unpacked, for each dataset, at least (h5py's own default) and at
# most. A chunk that does not fit is unpacked again for every block of rows that it holds.
_CACHE = (1 << 20, 1 << 28)
# Most bytes of the texts of a block. numpy gives every text the room of the longest.
_MOST_TEXT = 1 << 30
# What h5py raises for damaged files, and for types that it does not know.
_DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError)


def open_hdf5(path: Path, max_unpacked: float | None = None) -> ArrayTable:
    """Open an HDF5 file; its datasets are columns, called by their paths: "cifar/vit/logits_test".

    Links to other files are not followed. Raises InputError without h5py, and for a file that is
    damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            f"{path}: reading it needs the extra hdf5: pip install 'calibtool[hdf5]'"
        ) from error
    with open_checked(path, str(path)) as raw:
        begin = raw.read(len(_SIGNATURE))
    arrays: dict[str, StoredArray] = {}

    def visit(name: str | bytes, found: Any) -> None:
        if isinstance(found, h5py.Dataset):
            # a name that is not UTF-8 comes as bytes, or with halves of surrogate pairs in it
            shown = os.fsdecode(name).encode(errors="backslashreplace").decode()
            arrays[shown] = _stored(found, f"{path}: {shown}")

    with _damage_named(str(path), "" if begin == _SIGNATURE else "; is it HDF5?"):
        with h5py.File(path, "r") as file:
            cache = _cache(file, h5py.Dataset)
        file = h5py.File(path, "r", rdcc_nbytes=cache)  # the arrays keep it open
        file.visititems(visit)
    if not arrays:
        raise InputError(f"{path}: holds no datasets")
    return ArrayTable(path, arrays, open_hdf5, max_unpacked)


def _cache(file: Any, dataset_type: Any) -> int:
    """Return the bytes of two rows of chunks of the dataset whose chunks are largest: the one that
    a block ends in, and the next one."""
    largest = 0

    def visit(name: str, found: Any) -> None:
        nonlocal largest
        if isinstance(found, dataset_type) and found.chunks and found.shape:
            row = math.prod(found.shape[1:]) * found.dtype.itemsize
            largest = max(largest, 2 * row * min(found.chunks[0], found.shape[0]))

    file.visititems(visit)
    return min(max(largest, _CACHE[0]), _CACHE[1])


def _stored(dataset: Any, where: str) -> StoredArray:
    """Return a dataset as a table knows it."""
    import h5py

    shape: tuple[int, ...] = (0,) if dataset.shape is None else dataset.shape  # None: no values
    dtype, stored = dataset.dtype, ""
    text = h5py.check_string_dtype(dtype) is not None and dtype.kind == "O"
    if text:
        dtype, stored = np.dtype("U"), "text"
    elif dtype.kind not in "fiubS":
        # a type without values: such a dataset may stand beside those that are read
        dtype, stored = np.dtype("V1"), str(dtype)
    require_possible(shape, dtype.itemsize, where)
    packed = dataset.chunks is not None  # also a dataset that has no bytes in the file at all

    def read() -> Rows:
        if dataset.shape is None:
            return np.zeros(shape, dtype)
        return Slices(dataset, where, text=text)

    size = math.prod(shape) * dtype.itemsize
    return StoredArray(shape, dtype, read, unpacked=size if packed else 0, stored=stored)


@dataclass(frozen=True)
class Slices:
    """The values of a dataset, of which a slice is read when it is asked for.

    Attributes:
        dataset: h5py's.
        where: what messages call it.
        text: whether its values are texts of any length.
    """

    dataset: Any
    where: str
    text: bool = False

    def __getitem__(self, rows: slice, /) -> Array:
        with _damage_named(self.where):
            if self.dataset.is_virtual or self.dataset.external:
                raise InputError(
                    f"{self.where}: its values are in other files, which are not read; copy them "
                    "into one file"
                )
            if not self.text:
                return np.asarray(self.dataset[rows])
            texts = self.dataset.asstr()[rows].ravel().tolist()
            if 4 * len(texts) * max(map(len, texts), default=0) > _MOST_TEXT:
                raise InputError(
                    f"{self.where}: {len(texts):,} texts of up to {max(map(len, texts)):,} "
                    "characters are too much text; name a column of shorter ones"
                )
            return np.array(texts, dtype=str).reshape(-1, *self.dataset.shape[1:])


@contextmanager
def _damage_named(where: str, hint: str = "") -> Iterator[None]:
    """Turn what h5py raises for a damaged file into an InputError that begins with `where`."""
    try:
        yield
    except _DAMAGE as error:
        reason = brief(str(error)) or type(error).__name__
        raise InputError(
            f"{where}: cannot be read ({reason}); the file may be damaged or truncated{hint}"
        ) from error
