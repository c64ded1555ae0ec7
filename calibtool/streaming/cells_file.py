"""A state in a file: a zip of a JSON header and plain arrays, versioned; nothing is unpickled.

Cells without rows are left out, so that a day's file has some kilobytes.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, get_args

import numpy as np

from calibtool.data.files.write import whole_file
from calibtool.data.predictions import Kind
from calibtool.errors import InputError
from calibtool.streaming.exact import Exact
from calibtool.streaming.summary import DataShape, Layout, Summary, ends_of
from calibtool.types import Array
from calibtool.version import __version__

VERSION = 1
SUFFIX = ".cells"
FORMAT = "calibtool cells"
_WHEN = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is written
_LARGEST = 1 << 31  # bytes of an array


def save_cells(state: Summary, path: str | Path) -> None:
    """Write a state, whole or not at all."""
    with whole_file(path) as file:
        write(state, file)


def write(state: Summary, file: IO[bytes], more: dict[str, Any] | None = None) -> None:
    """A state, and what else a header is to say."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "calibtool": __version__,
        "rows": state.rows,
        "shape": asdict(state.shape),
        "keep": asdict(state.keep),
        "skipped": state.skipped,
        "sums": {name: list(value.high.shape) for name, value in sorted(state.sums.items())},
        **(more or {}),
    }
    with zipfile.ZipFile(file, "w") as archive:
        _member(archive, "header.json", json.dumps(header, indent=1).encode())
        for name, value in sorted(state.sums.items()):
            at = np.flatnonzero((value.high != 0) | (value.low != 0))
            whole = at.astype(np.uint32)
            _array(archive, f"{name}/at", np.diff(whole, prepend=np.uint32(0)))
            _array(archive, f"{name}/high", value.high.ravel()[at])
            low = value.low.ravel()[at]
            if low.any():
                _array(archive, f"{name}/low", low)


def load_cells(path: str | Path) -> Summary:
    """Read a state.

    Raises InputError for anything that is no file of cells, or not whole.
    """
    return read(path)[0]


def to_bytes(state: Summary) -> bytes:
    """A state as in a file."""
    buffer = io.BytesIO()
    write(state, buffer)
    return buffer.getvalue()


def from_bytes(data: bytes, source: str = "cells") -> Summary:
    """A state from what `to_bytes` made.

    Raises InputError for anything else.
    """
    return read(source, io.BytesIO(data))[0]


def read(path: str | Path, file: IO[bytes] | None = None) -> tuple[Summary, dict[str, Any]]:
    """A state and its header: of a file, or of an open one that is called so."""
    try:
        with zipfile.ZipFile(file or path) as archive:
            header = json.loads(_bytes(archive, "header.json"))
            return _state(archive, header, str(path)), header
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a whole file of cells ({error}); make it anew with `calibtool cells`"
        ) from error


def _state(archive: zipfile.ZipFile, header: dict[str, Any], source: str) -> Summary:
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {header['format']!r}")
    if header["version"] != VERSION:
        raise InputError(
            f"{source}: cells of version {header['version']}, this calibtool "
            f"({__version__}) reads version {VERSION}; make them anew, or update calibtool"
        )
    shape = header["shape"]
    names = shape["class_names"]
    shape = DataShape(
        shape["kind"],
        shape["classes"],
        shape["one_column"],
        None if names is None else tuple(map(str, names)),
    )
    if shape.kind not in get_args(Kind):
        raise ValueError(f"the kind {shape.kind!r} is not known")
    kept = header["keep"]
    views, edges, class_edges, scores = (
        tuple(kept[name]) for name in ("views", "edges", "class_edges", "scores")
    )
    keep = Layout(views, edges, class_edges, scores, bool(kept["counts"]))
    sums = {name: _sums(archive, name, tuple(size)) for name, size in header["sums"].items()}
    state = Summary(
        shape,
        keep,
        int(header["rows"]),
        sums,
        source,
        tuple((str(file), str(why)) for file, why in header["skipped"]),
    )
    _require_sound(state)
    return state


def _sums(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Exact:
    size = int(np.prod(shape))
    if not 0 <= size * 8 <= _LARGEST:
        raise ValueError(f"{name} is too large")
    at = np.cumsum(_read_array(archive, f"{name}/at").astype(np.int64))
    if len(at) and (at[-1] >= size or at[0] < 0):
        raise ValueError(f"{name} runs past its end")
    out = np.zeros((2, size))
    out[0, at] = _read_array(archive, f"{name}/high")
    if f"{name}/low.f8" in archive.namelist():
        out[1, at] = _read_array(archive, f"{name}/low")
    if not np.isfinite(out).all():
        raise ValueError(f"{name} holds values that are not finite")
    return Exact(out[0].reshape(shape), out[1].reshape(shape))


def _require_sound(state: Summary) -> None:
    """Whether sums fit what is said of them."""
    for name, value in state.sums.items():
        view, _, kind = name.rpartition("/")
        if kind not in ("n", "p", "y"):
            continue
        cells, n = len(ends_of(view, state.keep, state.shape)), state.sums[f"{view}/n"].high
        if value.high.shape[-1:] != (cells,):
            raise ValueError(f"{name} has not {cells} cells")
        slack = 1e-6 * (1 + n)
        if (value.high < -slack).any() or (value.high > n + slack).any():
            raise ValueError(f"{name} is larger than the weight of its cell, or negative")


def _member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def _array(archive: zipfile.ZipFile, name: str, values: Array) -> None:
    """Plain little-endian numbers, byte planes apart, which deflate packs better."""
    kind = "u4" if values.dtype.kind == "u" else "f8"
    raw = np.ascontiguousarray(values, dtype=f"<{kind}").view(np.uint8).reshape(-1, int(kind[1]))
    _member(archive, f"{name}.{kind}", raw.T.tobytes())


def _read_array(archive: zipfile.ZipFile, name: str) -> Array:
    kind = "u4" if name.endswith("/at") else "f8"
    raw = np.frombuffer(_bytes(archive, f"{name}.{kind}"), np.uint8)
    width = int(kind[1])
    planes = raw.reshape(width, -1) if len(raw) else raw.reshape(width, 0)
    return np.ascontiguousarray(planes.T).view(f"<{kind}").ravel()


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST:
        raise ValueError(f"{name} is too large")
    return archive.read(name)
