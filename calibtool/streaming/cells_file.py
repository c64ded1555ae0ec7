"""Files of cells: a summary as a zip of a JSON header and plain arrays. Nothing is unpickled.

Cells without rows are left out, so that the file of a day takes a few kilobytes. The format:
`header.json` holds the field names of `DataShape` and `Layout` and the shape of each sum;
`NAME/at.u4`, `NAME/high.f8` and, where any is not 0, `NAME/low.f8` hold its entries that are not 0.
In version 1 the Brier score of two classes was the sum over both; since version 2 it is half of it.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, get_args

import numpy as np

from calibtool.data.files.write import whole_file
from calibtool.data.predictions import Kind
from calibtool.errors import InputError
from calibtool.streaming.exact import Exact, scaled
from calibtool.streaming.summary import DataShape, Layout, Summary, ends_of
from calibtool.types import Array
from calibtool.version import __version__

VERSION = 2
READ = (1, 2)  # versions that can be read
SUFFIX = ".cells"
FORMAT = "calibtool cells"
# The modification time of all members, the earliest that a zip can hold: the same sums then make
# the same bytes, whenever they are written.
_WHEN = (1980, 1, 1, 0, 0, 0)
# Most bytes of an array; a header that claims more is damaged or hostile. 2**31 are 2**28 sums:
# 1,000 classes of the full grid take a fiftieth of that.
_LARGEST = 1 << 31


def save_cells(state: Summary, path: str | Path) -> None:
    """Write a summary to a file, atomically.

    Raises UsageError if the file cannot be written.
    """
    with whole_file(path) as file:
        write(state, file)


def load_cells(path: str | Path) -> Summary:
    """Read a summary from a file.

    Raises InputError if the file is missing, damaged, or no file of cells.
    """
    return _read(path)


def to_bytes(summary: Summary) -> bytes:
    """Return a summary as the bytes of a file of cells."""
    buffer = io.BytesIO()
    write(summary, buffer)
    return buffer.getvalue()


def from_bytes(data: bytes, source: str = "cells") -> Summary:
    """Return the summary that `to_bytes` turned into bytes; `source` is what to call it.

    Raises InputError for any other bytes.
    """
    return _read(source, io.BytesIO(data))


def write(summary: Summary, file: IO[bytes]) -> None:
    """Write a summary to an open binary file."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "calibtool": __version__,
        "rows": summary.rows,
        "shape": asdict(summary.shape),
        "keep": asdict(summary.keep),
        "skipped": summary.skipped,
        "sums": {name: list(value.high.shape) for name, value in sorted(summary.sums.items())},
    }
    with zipfile.ZipFile(file, "w") as archive:
        _write_member(archive, "header.json", json.dumps(header, indent=1).encode())
        for name, value in sorted(summary.sums.items()):
            at = np.flatnonzero((value.high != 0) | (value.low != 0))
            # distances between neighbours are small numbers, which deflate compresses better
            distance = np.diff(at.astype(np.uint32), prepend=np.uint32(0))
            _write_array(archive, f"{name}/at", distance)
            _write_array(archive, f"{name}/high", value.high.ravel()[at])
            low = value.low.ravel()[at]
            if low.any():
                _write_array(archive, f"{name}/low", low)


@contextmanager
def damage_as_input_error(path: str | Path, what: str, advice: str) -> Iterator[None]:
    """Raise InputError for whatever reading a missing or damaged zip raises.

    The message says that the file is not `what`, why, and the `advice`.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not {what} ({error}); {advice}") from error


def _read(path: str | Path, file: IO[bytes] | None = None) -> Summary:
    """Read the summary in a file, or in an open one that messages call `path`."""
    with (
        damage_as_input_error(
            path, "a whole file of cells", "make it again with `calibtool cells`"
        ),
        zipfile.ZipFile(file or path) as archive,
    ):
        header = json.loads(_read_member(archive, "header.json"))
        return _summary(archive, header, str(path))


def _summary(archive: zipfile.ZipFile, header: dict[str, Any], source: str) -> Summary:
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {header['format']!r}")
    if header["version"] not in READ:
        raise InputError(
            f"{source}: cells of version {header['version']}, this calibtool ({__version__}) reads "
            f"versions {' and '.join(map(str, READ))}; make them again, or update calibtool"
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
    fields = header["keep"]
    views, edges, class_edges, scores = (
        tuple(fields[name]) for name in ("views", "edges", "class_edges", "scores")
    )
    layout = Layout(views, edges, class_edges, scores, bool(fields["counts"]))
    sums = {name: _sums(archive, name, tuple(size)) for name, size in header["sums"].items()}
    if header["version"] == 1 and shape.classes == 2:
        for name in sums.keys() & {"score/brier", "pair/brier"}:
            sums[name] = scaled(sums[name], 0.5)
    summary = Summary(
        shape,
        layout,
        int(header["rows"]),
        sums,
        source,
        tuple((str(file), str(reason)) for file, reason in header["skipped"]),
    )
    _require_sound(summary)
    return summary


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


def _require_sound(summary: Summary) -> None:
    """Check that each view has as many cells as its layout says, and plausible sums in them.

    Score mass and outcome mass lie between 0 and the weight of the cell. Raises ValueError.
    """
    for name, value in summary.sums.items():
        view, _, kind = name.rpartition("/")
        if kind not in ("n", "p", "y"):
            continue
        cells = len(ends_of(view, summary.keep, summary.shape))
        n = summary.sums[f"{view}/n"].high
        if value.high.shape[-1:] != (cells,):
            raise ValueError(f"{name} does not have {cells} cells")
        # the lowest bin of many classes is a difference of sums in float32 precision
        slack = 1e-6 * (1 + n)
        if (value.high < -slack).any() or (value.high > n + slack).any():
            raise ValueError(f"{name} is larger than the weight of its cell, or negative")


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def _write_array(archive: zipfile.ZipFile, name: str, values: Array) -> None:
    """Write plain little-endian numbers, the first byte of all of them first, then the second, and
    so on: deflate compresses planes of similar bytes better than mixed ones."""
    kind = "u4" if values.dtype.kind == "u" else "f8"
    raw = np.ascontiguousarray(values, dtype=f"<{kind}").view(np.uint8).reshape(-1, int(kind[1]))
    _write_member(archive, f"{name}.{kind}", raw.T.tobytes())


def _read_array(archive: zipfile.ZipFile, name: str) -> Array:
    kind = "u4" if name.endswith("/at") else "f8"
    raw = np.frombuffer(_read_member(archive, f"{name}.{kind}"), np.uint8)
    width = int(kind[1])
    planes = raw.reshape(width, -1) if len(raw) else raw.reshape(width, 0)
    return np.ascontiguousarray(planes.T).view(f"<{kind}").ravel()


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST:
        raise ValueError(f"{name} is too large")
    return archive.read(name)
