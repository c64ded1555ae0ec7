"""npz and npy files: arrays are mapped if they are stored uncompressed, and never unpickled."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

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
_DEFLATE_LIMIT = 1100  # deflate cannot expand further than 1,032 to 1 (zlib's documentation)

# Rows and bytes of a part. Workers take one part at a time: smaller parts cost more calls, larger
# ones leave workers idle at the end.
PART_ROWS = 1 << 20
PART_BYTES = 1 << 28


class ArrayTable:
    """Arrays by key; those with as many rows as the longest are columns."""

    def __init__(self, source: str, arrays: dict[str, Array]) -> None:
        self.source = source
        self._arrays = arrays
        self.skipped: list[Skipped] = []

    def __reduce__(self) -> tuple[Callable[[Path], ArrayTable], tuple[Path]]:
        """Pickle the path alone: another process maps the file again."""
        return read_by_suffix, (Path(self.source).resolve(),)

    @property
    def rows(self) -> int:
        return max((len(array) for array in self._arrays.values() if array.ndim), default=0)

    @property
    def columns(self) -> Mapping[str, Column]:
        return {
            name: Column(
                name,
                f"{array.dtype} {' x '.join(f'{n:,}' for n in array.shape) or 'scalar'}",
                int(np.prod(array.shape[1:])),
                len(array) if array.ndim else 1,
                nested=array.ndim > 1,
                mapped=isinstance(array, np.memmap),
                family=_family(array),
            )
            for name, array in self._arrays.items()
        }

    def names_of(self, column: str) -> tuple[str, ...] | None:
        return None

    def strings(self, column: str) -> tuple[str, ...]:
        return tuple(str(value) for value in self._arrays[column].ravel().tolist())

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
        return self._arrays[name][:1] if len(self._arrays[name]) else None

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Return slices of the mapped arrays."""
        widest = max((int(np.prod(a.shape[1:])) * a.itemsize for a in self._columns()), default=1)
        rows = max(min(PART_ROWS, PART_BYTES // max(widest, 1)), 1)
        starts = range(0, self.rows, rows)
        return [Part(self.source, 0, at, min(rows, self.rows - at), start=at) for at in starts]

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        self._length(names)
        yield from self._slices(names, part.first_row, part.first_row + part.rows, size)

    def _columns(self) -> list[Array]:
        return [a for a in self._arrays.values() if a.ndim and len(a) == self.rows]

    def _slices(
        self, names: Sequence[str], first: int, last: int, size: int
    ) -> Iterator[dict[str, Array]]:
        for start in range(first, last, size):
            end = min(start + size, last)
            yield {name: self._arrays[name][start:end] for name in names}

    def _length(self, names: Sequence[str]) -> int:
        """Return the number of rows of these columns.

        Raises InputError if it differs between them.
        """
        for name in names:
            if not self._arrays[name].ndim:
                raise InputError(f"{self.source}: {name}: a single value, expected one per row")
        rows = max((len(self._arrays[name]) for name in names), default=0)
        for name in names:
            if len(self._arrays[name]) != rows:
                lengths = ", ".join(f"{n} {len(self._arrays[n]):,}" for n in names)
                raise InputError(f"{self.source}: arrays differ in length: {lengths}")
        return rows


def read_by_suffix(path: Path) -> ArrayTable:
    """Open an npz or npy file.

    Raises InputError if it cannot be opened or is damaged.
    """
    return read_npz(path) if path.suffix.lower() == ".npz" else read_npy(path)


def read_npy(path: Path) -> ArrayTable:
    """Open an npy file: one array, under the name of the file."""
    with open_checked(path, str(path)) as file:
        shape, fortran, dtype = _header(file, str(path))
        size = os.fstat(file.fileno()).st_size - file.tell()
        _require_size(str(path), shape, dtype, size)
        array = _map(path, file.tell(), shape, fortran, dtype)
    return ArrayTable(str(path), {path.stem: array})


def read_npz(path: Path) -> ArrayTable:
    """Open an npz file: stored members are mapped, compressed ones are read."""
    arrays: dict[str, Array] = {}
    try:
        with open_checked(path, str(path)) as raw, zipfile.ZipFile(raw) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                key = member.filename.removesuffix(".npy")
                arrays[key] = _member(path, raw, archive, member, f"{path}: {key}")
    except (zipfile.BadZipFile, EOFError, struct.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: {error.strerror}") from error
        raise InputError(
            f"{path}: not a whole npz file ({error}); it may be truncated or of another format"
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unknown compression
        raise InputError(f"{path}: {error}") from error
    if not arrays:
        raise InputError(f"{path}: holds no arrays")
    return ArrayTable(str(path), arrays)


def _member(
    path: Path, raw: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str
) -> Array:
    """Return an array of an npz: mapped if it is stored, read if it is compressed."""
    declared, stored = member.file_size, member.compress_size
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if member.compress_type != zipfile.ZIP_STORED and (
        declared > memory or declared > _DEFLATE_LIMIT * max(stored, 1)
    ):
        raise InputError(
            f"{where}: declares {declared:,} bytes from {stored:,} in the file, more than "
            "this machine's memory or than compression can give; not read"
        )
    with archive.open(member) as file:
        shape, fortran, dtype = _header(file, where)
        offset = file.tell()
        _require_size(where, shape, dtype, declared - offset)
        if member.compress_type != zipfile.ZIP_STORED:
            if 0 in shape or dtype.itemsize == 0:
                return np.zeros(shape, dtype)
            data = file.read()
            flat = np.frombuffer(data, dtype=dtype)
            return flat.reshape(shape, order="F" if fortran else "C")
    raw.seek(member.header_offset)
    magic, _, name_length, extra_length = _LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))
    if magic != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"bad header of member {member.filename}")
    start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if start + declared > os.fstat(raw.fileno()).st_size:
        raise zipfile.BadZipFile(f"member {member.filename} runs past the end of the file")
    return _map(path, start + offset, shape, fortran, dtype)


def _header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Return shape, order and type of an npy stream.

    Raises InputError for a damaged header, and for arrays of objects, which are pickles.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise InputError(f"{where}: npy format {version} is not supported")
        shape, fortran, dtype = read(file)
    except _HEADER_ERRORS as error:
        raise InputError(
            f"{where}: not a whole npy array; it may be truncated, or a pickle, which is never "
            "read. Save arrays with np.save or np.savez"
        ) from error
    if any(not 0 <= n < 1 << 48 for n in shape):  # no machine addresses more bytes
        raise InputError(
            f"{where}: the header's shape {shape} is impossible; the file may be damaged"
        )
    if dtype.hasobject:
        raise InputError(
            f"{where}: an object array, that is a pickle, which is never read; save it "
            "with a plain dtype (labels: int64; names: a string array; logits: float32)"
        )
    return shape, fortran, dtype


def _require_size(
    where: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], size: int
) -> None:
    """Check that there are as many bytes as the header promises, or raise InputError."""
    need = dtype.itemsize
    for n in shape:  # Python's integers do not overflow, as numpy's would with a hostile header
        need *= n
    if need != size:
        raise InputError(
            f"{where}: the header promises {need:,} bytes, the file holds {size:,}; "
            "it may be truncated"
        )


def _map(
    path: Path, offset: int, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[np.generic]
) -> Array:
    if 0 in shape or dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    return np.memmap(
        path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C"
    )


def _family(array: Array) -> str:
    """Return what `Column.family` says of an array."""
    named = {"numbers": "fiub", "text": "US"}
    inner = next((k for k, kinds in named.items() if array.dtype.kind in kinds), str(array.dtype))
    return "lists of " * max(array.ndim - 1, 0) + inner
