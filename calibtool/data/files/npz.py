"""npz and npy files: arrays are mapped if they are stored uncompressed, and never unpickled."""

from __future__ import annotations

import io
import math
import os
import struct
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import IO, Literal

import numpy as np

from calibtool.data.files.archive import (
    UNPACKED,
    damage_named,
    open_archive,
    require_room,
    unpack,
)
from calibtool.data.files.reader import Column, Part, Skipped
from calibtool.data.files.store import open_checked
from calibtool.errors import InputError
from calibtool.types import Array

# What precedes a member in a zip: magic, 22 bytes that are not needed, lengths of name and extra
# field. The length of the extra field can differ from that in the central directory.
_LOCAL_HEADER = struct.Struct("<4s22sHH")
# numpy evaluates the header, a Python literal: damaged ones raise any of these
_HEADER_ERRORS = (
    *(ValueError, TypeError, SyntaxError, EOFError, TokenError),
    *(OverflowError, RecursionError, MemoryError),
)
_HEADER_BYTES = 1 << 14  # read of an npy file for its header, of which numpy believes 10,000
_DIMENSIONS = 32  # numpy 1 has no arrays of more
_ADDRESSES = 1 << 48  # no machine addresses more bytes
# Rows and bytes of a part. Workers take one part at a time: smaller parts cost more calls, larger
# ones leave workers idle at the end.
PART_ROWS = 1 << 20
PART_BYTES = 1 << 28


@dataclass(frozen=True)
class Header:
    """The header of an array, and where its values are.

    Attributes:
        shape, fortran, dtype: as numpy writes them.
        offset: where the values begin: in the file, or in the unpacked member.
        member: the member of an archive if it is compressed, or "".
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]
    offset: int
    member: str = ""

    @property
    def size(self) -> int:
        """The bytes of its values."""
        # Python's integers do not overflow, as numpy's would with a hostile header
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def rows(self) -> int | None:
        """Its length; None for a single value."""
        return self.shape[0] if self.shape else None

    @property
    def width(self) -> int:
        """The values in a row."""
        return math.prod(self.shape[1:])


class ArrayTable:
    """Arrays by key; those with as many rows as the longest are columns.

    Opening reads headers alone. Stored arrays are mapped, compressed ones are unpacked when their
    rows are read.
    """

    def __init__(
        self, path: Path, arrays: dict[str, Header], max_unpacked: float | None = None
    ) -> None:
        self.source = str(path)
        self._headers = arrays
        self._max_unpacked = max_unpacked
        self._arrays: dict[str, Array] = {}
        self._lock = threading.Lock()
        self.skipped: list[Skipped] = []

    def __reduce__(self) -> tuple[Callable[..., ArrayTable], tuple[Path, float | None]]:
        """Pickle the path alone: another process maps the file again."""
        return read_by_suffix, (Path(self.source).resolve(), self._max_unpacked)

    @property
    def rows(self) -> int:
        return max((header.rows or 0 for header in self._headers.values()), default=0)

    @property
    def columns(self) -> Mapping[str, Column]:
        return {
            name: Column(
                name,
                f"{header.dtype} {' x '.join(f'{n:,}' for n in header.shape) or 'scalar'}",
                header.width,
                1 if header.rows is None else header.rows,
                nested=len(header.shape) > 1,
                mapped=not header.member and header.size > 0,
                family=_family(header),
            )
            for name, header in self._headers.items()
        }

    def names_of(self, column: str) -> tuple[str, ...] | None:
        return None

    def strings(self, column: str) -> tuple[str, ...]:
        return tuple(str(value) for value in self._read([column])[0].ravel().tolist())

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        rows = self._length(names)
        yield from self._slices(names, 0, rows, size)

    def count(self, names: Sequence[str]) -> int:
        return self._length(names)

    def path_of(self, part: Part) -> str | None:
        return str(Path(self.source).absolute())

    def stamps(self) -> list[tuple[str, int | None, str]]:
        stat = Path(self.source).stat()
        return [(self.source, stat.st_size, str(stat.st_mtime_ns))]

    def locate(self, row: int) -> str:
        return f"row {row} (counting from 0)"

    def first(self, name: str) -> Array | None:
        return self._read([name])[0][:1] if self._headers[name].rows else None

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Return slices of the mapped arrays."""
        total = self.rows
        columns = [header for header in self._headers.values() if header.rows == total]
        widest = max((header.width * header.dtype.itemsize for header in columns), default=1)
        rows = max(min(PART_ROWS, PART_BYTES // max(widest, 1)), 1)
        starts = range(0, total, rows)
        return [Part(self.source, 0, at, min(rows, total - at), start=at) for at in starts]

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        self._length(names)
        yield from self._slices(names, part.first_row, part.first_row + part.rows, size)

    def _slices(
        self, names: Sequence[str], first: int, last: int, size: int
    ) -> Iterator[dict[str, Array]]:
        arrays = self._read(names)
        for start in range(first, last, size):
            end = min(start + size, last)
            yield {name: array[start:end] for name, array in zip(names, arrays, strict=True)}

    def _length(self, names: Sequence[str]) -> int:
        """Return the number of rows of these columns, by their headers.

        Raises InputError if it differs between them.
        """
        lengths: dict[str, int] = {}
        for name in names:
            rows = self._headers[name].rows
            if rows is None:
                raise InputError(f"{self.source}: {name}: a single value, expected one per row")
            lengths[name] = rows
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {rows:,}" for name, rows in lengths.items())
            raise InputError(f"{self.source}: arrays differ in length: {listed}")
        return max(lengths.values(), default=0)

    def _read(self, names: Sequence[str]) -> list[Array]:
        """Return arrays whole: mapped, or unpacked when they are first asked for."""
        with self._lock:  # parts may be read by several threads at once
            self._require_memory(names)
            for name in names:
                if name not in self._arrays:
                    self._arrays[name] = _values(self.source, name, self._headers[name])
            return [self._arrays[name] for name in names]

    def _require_memory(self, names: Sequence[str]) -> None:
        """Check that what these arrays and those read before unpack to is within the limit."""
        wanted = {name for name in (*self._arrays, *names) if self._headers[name].member}
        total = sum(self._headers[name].size for name in wanted)
        if total > UNPACKED:
            where = f"{self.source}: {', '.join(sorted(wanted))}"
            require_room(where, total, Path(self.source).stat().st_size, self._max_unpacked)


def read_by_suffix(path: Path, max_unpacked: float | None = None) -> ArrayTable:
    """Open an npz or npy file. Compressed arrays may unpack to `max_unpacked` GB, by default
    to as much as `archive.require_room` allows.

    Raises InputError if it cannot be opened or is damaged.
    """
    if path.suffix.lower() == ".npz":
        return ArrayTable(path, _npz_headers(path), max_unpacked)
    with open_checked(path, str(path)) as file:
        header = _header(file, str(path), os.fstat(file.fileno()).st_size)
    return ArrayTable(path, {path.stem: header})


def _npz_headers(path: Path) -> dict[str, Header]:
    """Return the header of every array in an npz file, in its order."""
    headers: dict[str, Header] = {}
    with open_archive(path) as (raw, archive):
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            key = member.filename.removesuffix(".npy")
            if key in headers:
                raise InputError(
                    f"{path}: {key}: the file holds two arrays of this name; save it again"
                )
            with damage_named(f"{path}: {key}"):
                headers[key] = _member(raw, archive, member, f"{path}: {key}")
    if not headers:
        raise InputError(f"{path}: holds no arrays")
    return headers


def _member(
    raw: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str
) -> Header:
    """Return the header of an array in an npz."""
    with archive.open(member) as file:
        packed = _header(file, where, member.file_size)
    if member.compress_type != zipfile.ZIP_STORED:
        return replace(packed, member=member.filename)
    raw.seek(member.header_offset)
    magic, _, name_length, extra_length = _LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))
    if magic != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"bad header of member {member.filename}")
    start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if start + member.file_size > os.fstat(raw.fileno()).st_size:
        raise zipfile.BadZipFile(f"member {member.filename} runs past the end of the file")
    return replace(packed, offset=start + packed.offset)


def _header(file: IO[bytes], where: str, size: int) -> Header:
    """Return the header of an npy stream of `size` bytes.

    Raises InputError for a damaged header, and for arrays of objects, which are pickles.
    """
    begin = io.BytesIO(file.read(_HEADER_BYTES))
    try:
        version = np.lib.format.read_magic(begin)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise InputError(f"{where}: npy format {version} is not supported")
        # Python's parser, which numpy calls, warns of odd literals, numpy of files from Python 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read(begin)
    except _HEADER_ERRORS as error:
        raise InputError(
            f"{where}: not a whole npy array; it may be truncated, or a pickle, which is never "
            "read. Save arrays with np.save or np.savez"
        ) from error
    extent = math.prod(n for n in shape if n)  # numpy refuses it even of an array without values
    if (
        any(n < 0 for n in shape)
        or len(shape) > _DIMENSIONS
        or extent * max(dtype.itemsize, 1) >= _ADDRESSES
    ):
        raise InputError(
            f"{where}: the header's shape {shape} is impossible; the file may be damaged"
        )
    if dtype.hasobject:
        raise InputError(
            f"{where}: an object array, that is a pickle, which is never read; save it "
            "with a plain dtype (labels: int64; names: a string array; logits: float32)"
        )
    header = Header(shape, fortran, dtype, begin.tell())
    if header.size != size - header.offset:
        raise InputError(
            f"{where}: the header declares {header.size:,} bytes, the file holds "
            f"{size - header.offset:,}; it may be truncated"
        )
    return header


def _values(path: str, name: str, header: Header) -> Array:
    """Return the values of an array: mapped if it is stored, else unpacked."""
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    if header.size == 0:
        if math.prod(header.shape):  # numpy would make room for texts of one character
            raise InputError(f"{path}: {name}: {header.dtype} values of 0 bytes; save it again")
        return np.zeros(header.shape, header.dtype)
    if not header.member:
        return _map(path, name, header, order)
    where = f"{path}: {name}"
    try:
        flat = np.empty(header.size, np.uint8)
    except MemoryError as error:
        raise InputError(f"{where}: {header.size:,} bytes do not fit into memory") from error
    with (
        open_archive(Path(path)) as (_, archive),
        damage_named(where),
        archive.open(header.member) as file,
    ):
        file.read(header.offset)
        if unpack(file, flat.data) != header.size:
            raise InputError(f"{where}: ends early or late; the file may be damaged")
    return flat.view(header.dtype).reshape(header.shape, order=order)


def _map(path: str, name: str, header: Header, order: Literal["F", "C"]) -> Array:
    try:
        return np.memmap(path, header.dtype, "r", header.offset, header.shape, order)
    except (OSError, ValueError) as error:  # it was cut or deleted after it was opened
        raise InputError(f"{path}: {name}: cannot be mapped ({error}); was it changed?") from error


def _family(header: Header) -> str:
    """Return what `Column.family` says of an array."""
    named = {"numbers": "fiub", "text": "US"}
    dtype = header.dtype
    inner = next((k for k, kinds in named.items() if dtype.kind in kinds), str(dtype))
    return "lists of " * max(len(header.shape) - 1, 0) + inner
