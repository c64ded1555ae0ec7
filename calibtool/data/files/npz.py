"""npz and npy files: arrays are mapped if they are stored uncompressed, and never unpickled."""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import IO, Literal

import numpy as np

from calibtool.data.files.archive import damage_named, open_archive, unpack
from calibtool.data.files.array_table import ArrayTable, StoredArray, map_array, require_possible
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

    def stored(self, path: Path, name: str) -> StoredArray:
        """Return the array as a table knows it."""
        return StoredArray(
            self.shape,
            self.dtype,
            partial(_values, str(path), name, self),
            unpacked=self.size if self.member else 0,
            mapped=not self.member and self.size > 0,
        )


def read_by_suffix(path: Path, max_unpacked: float | None = None) -> ArrayTable:
    """Open an npz or npy file. Compressed arrays may unpack to `max_unpacked` GB, by default
    to as much as UNPACKED and EXPANSION allow.

    Raises InputError if it cannot be opened or is damaged.
    """
    if path.suffix.lower() == ".npz":
        return _table(path, _npz_headers(path), max_unpacked)
    with open_checked(path, str(path)) as file:
        header = _header(file, str(path), os.fstat(file.fileno()).st_size)
    return _table(path, {path.stem: header})


def _table(path: Path, headers: dict[str, Header], max_unpacked: float | None = None) -> ArrayTable:
    arrays = {name: header.stored(path, name) for name, header in headers.items()}
    return ArrayTable(path, arrays, read_by_suffix, max_unpacked)


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
    require_possible(shape, dtype.itemsize, where)
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
        return map_array(path, name, header.dtype, header.offset, header.shape, order)
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
