"""IDX files (the MNIST family) and the binary batches of CIFAR, as published; torch-free."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from calibtool.errors import InputError
from calibtool.train.data.dataset import Arrays, Data, Rows
from calibtool.train.data.unseen import RawRows, Wanted
from calibtool.train.data.validation import kind_of, settle_labels
from calibtool.train.settings import Settings
from calibtool.types import Array

IDX_TYPES = {  # type byte -> NumPy type, big-endian (LeCun, "The MNIST database")
    8: ">u1",
    9: ">i1",
    11: ">i2",
    12: ">i4",
    13: ">f4",
    14: ">f8",
}
IDX_PARTS = {"train": "train", "t10k": "test", "test": "test"}
CIFAR = 3 * 32 * 32  # bytes of an image
# name -> training files, test file, labels per record, the file of class names (Krizhevsky 2009)
CIFARS = {
    "cifar10": ([f"data_batch_{i}.bin" for i in range(1, 6)], "test_batch.bin", 1, "batches.meta"),
    "cifar100": (["train.bin"], "test.bin", 2, "fine_label_names"),
}


def read(text: str, settings: Settings) -> Data:
    """Read `idx:ROOT`, `cifar10:ROOT` or `cifar100:ROOT`.

    Raises InputError for missing or damaged files.
    """
    kind, _, root = text.partition(":")
    folder = Path(root)
    if not folder.is_dir():
        raise InputError(f"{text}: {root or '(nothing)'} is not a folder")
    return _idx(text, folder) if kind == "idx" else _cifar(text, kind, folder)


def read_new(text: str, settings: Settings, wanted: Wanted) -> RawRows:
    """Read the rows of a part, to predict them; raise InputError as `read` does."""
    data = read(text, settings)
    wanted.require_part(text, data.parts)
    rows = data.parts[wanted.part]
    labels = rows.labels if wanted.labels else None
    return RawRows(rows.inputs, labels, rows.ids, data.kind, data.class_names)


# ------------------------------------------------------------------ IDX


def _idx(text: str, folder: Path) -> Data:
    """Read {train,t10k}-images-idx3-ubyte and -labels-idx1-ubyte, plain or gzipped."""
    parts: dict[str, Rows] = {}
    names: tuple[str, ...] | None = None
    for prefix, part in IDX_PARTS.items():
        images = _first_file(folder, f"{prefix}-images[-.]idx?-ubyte*")
        labels = _first_file(folder, f"{prefix}-labels[-.]idx?-ubyte*")
        if images is None or labels is None or part in parts:
            continue
        x, y = read_idx(images), read_idx(labels)
        if len(x) != len(y):
            raise InputError(f"{labels}: {len(y):,} labels for {len(x):,} images in {images.name}")
        ids, names = settle_labels(y, names, str(labels))
        x = x[:, None] if x.ndim == 3 else x
        parts[part] = Rows(Arrays(x), ids, np.arange(len(y)))
    if "train" not in parts:
        raise InputError(f"{text}: found no train-images-idx3-ubyte and train-labels-idx1-ubyte")
    x = parts["train"].inputs.take(np.arange(1))
    classes = int(max(rows.labels.max() for rows in parts.values())) + 1
    return Data(text, parts, classes, x.shape[1:], kind_of(x), names)


def read_idx(path: Path) -> Array:
    """Return the array of an IDX file, in native byte order.

    The file holds two zero bytes, the type, the number of axes, their lengths, and the values.
    """
    raw = _bytes(path)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in IDX_TYPES:
        raise InputError(f"{path}: not an IDX file")
    axes = raw[3]
    start = 4 + 4 * axes
    if len(raw) < start:
        raise InputError(f"{path}: the header is truncated")
    shape = struct.unpack(f">{axes}I", raw[4:start])
    dtype = np.dtype(IDX_TYPES[raw[2]])
    if len(raw) - start != math.prod(shape) * dtype.itemsize:
        raise InputError(
            f"{path}: the header promises {math.prod(shape) * dtype.itemsize:,} bytes, the file "
            f"holds {len(raw) - start:,}; it may be truncated"
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _first_file(folder: Path, pattern: str) -> Path | None:
    return next(iter(sorted(folder.glob(pattern))), None)


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise InputError(f"{path}: cannot be read: {error}") from error


# ------------------------------------------------------------------ CIFAR


def _cifar(text: str, kind: str, folder: Path) -> Data:
    train, test, labels, names_file = CIFARS[kind]
    # the archive unpacks to a folder of its own, so the folder above it is accepted too
    home = next((f for f in (folder, *sorted(folder.glob("*/"))) if (f / test).is_file()), None)
    if home is None:
        raise InputError(f"{text}: {_cifar_missing(kind, folder, test)}")
    parts = {}
    for part, files in (("train", train), ("test", [test])):
        records = np.concatenate([_records(home / name, labels) for name in files])
        y = records[:, labels - 1].astype(np.int64)  # of CIFAR-100, the fine label
        x = np.ascontiguousarray(records[:, labels:]).reshape(-1, 3, 32, 32)
        parts[part] = Rows(Arrays(x), y, np.arange(len(y)))
    classes = 10 if kind == "cifar10" else 100
    names = _names(home, names_file, classes)
    worst = max(int(rows.labels.max()) for rows in parts.values())
    if worst >= classes:
        raise InputError(f"{text}: holds label {worst}; {kind} has {classes} classes")
    return Data(text, parts, classes, (3, 32, 32), "images", names)


def _cifar_missing(kind: str, folder: Path, test: str) -> str:
    pickled = ("data_batch_1", "test_batch", "meta", "batches.meta")
    if any(next(folder.rglob(name), None) for name in pickled):
        return (
            "these are the Python batches, which are pickles and can run code; they are never "
            f"read. Unpack the binary version (cifar-{kind.removeprefix('cifar')}-binary.tar.gz, "
            f"on the same page) and give its folder, which holds {test}"
        )
    return f"found no {test}; give the folder of the binary version"


def _records(path: Path, labels: int) -> Array:
    raw = np.frombuffer(_bytes(path), np.uint8)
    if not len(raw) or len(raw) % (labels + CIFAR):
        raise InputError(
            f"{path}: {len(raw):,} bytes are not a multiple of a record's {labels + CIFAR}"
        )
    return raw.reshape(-1, labels + CIFAR)


def _names(folder: Path, name: str, classes: int) -> tuple[str, ...] | None:
    path = folder / f"{name}.txt"
    if not path.is_file():
        return None
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    return tuple(lines) if len(set(lines)) == classes == len(lines) else None
