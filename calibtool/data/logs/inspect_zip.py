"""The zip of an Inspect log: members by name, whatever they are compressed by.

New versions of Inspect compress by method 93 (Zstandard), which Python's `zipfile` lists but does
not read before 3.14; pyarrow decompresses it. Sizes in the archive are not believed.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from calibtool.data.files.archive import damage_named, require_room, unpack
from calibtool.data.logs import records
from calibtool.data.logs.log import LogFile
from calibtool.errors import UnreadableError

ZSTANDARD = 93  # its number among the compression methods of zip
# what precedes a member: magic, 22 bytes that are not needed, lengths of name and extra field
_LOCAL_HEADER = struct.Struct("<4s22sHH")
_WHAT = "Inspect logs"
_ENCRYPTED = 1  # the flag of members that need a password


class Members:
    """The members of an open zip.

    Attributes:
        shown: what messages call the file.
        names: of the members, in their order; of several by one name, the last is read.
    """

    def __init__(
        self, shown: str, raw: IO[bytes], archive: zipfile.ZipFile, max_unpacked: float | None
    ) -> None:
        self.shown = shown
        self._raw = raw
        self._archive = archive
        self._max_unpacked = max_unpacked
        self._packed = raw.seek(0, os.SEEK_END)
        self.names = tuple(dict.fromkeys(archive.namelist()))

    def require_room(self, names: Iterable[str]) -> None:
        """Check that these members may be unpacked. Raises InputError."""
        total = sum(self._archive.getinfo(name).file_size for name in names)
        require_room(self.shown, total, self._packed, self._max_unpacked)

    def document(self, name: str) -> Any:
        """Return the JSON value of a member. Raises InputError if it is damaged."""
        where = f"{self.shown}: {name}"
        member = self._archive.getinfo(name)
        self.require_room([name])
        with damage_named(where, _WHAT):
            data = self._zstandard(member) if member.compress_type == ZSTANDARD else None
            if data is None:
                with self._archive.open(member) as file:
                    data = _exactly(file, member, where)
        return records.document(data, where)

    def _zstandard(self, member: zipfile.ZipInfo) -> bytes:
        import pyarrow as pa  # takes a while to load, and only these members need it

        where = f"{self.shown}: {member.filename}"
        self._raw.seek(member.header_offset)
        header = self._raw.read(_LOCAL_HEADER.size)
        magic, _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        if magic != b"PK\x03\x04" or member.flag_bits & _ENCRYPTED:
            raise zipfile.BadZipFile("bad header, or encrypted")
        self._raw.seek(name_length + extra_length, os.SEEK_CUR)
        if member.compress_size > self._packed - self._raw.tell():
            raise zipfile.BadZipFile("it runs past the end of the file")
        packed = self._raw.read(member.compress_size)
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as file:
            data = _exactly(file, member, where)
        if zlib.crc32(data) != member.CRC:
            raise zipfile.BadZipFile("bad CRC-32")
        return data


@contextmanager
def open_members(file: LogFile, max_unpacked: float | None) -> Iterator[Members]:
    """Open a log as a zip. Raises InputError if it is none."""
    with file.stream() as raw:
        # a stream from afar may only go forward
        seekable = raw if raw.seekable() else io.BytesIO(raw.read())
        with damage_named(file.shown, _WHAT):
            archive = zipfile.ZipFile(seekable)
        with archive:
            yield Members(file.shown, seekable, archive, max_unpacked)


def _exactly(file: IO[bytes], member: zipfile.ZipInfo, where: str) -> bytes:
    """Return what a member unpacks to, which must have the size that the archive declares."""
    try:
        data = bytearray(member.file_size)
    except MemoryError as error:
        reason = f"{member.file_size:,} bytes do not fit into memory"
        raise UnreadableError(where, reason) from error
    if unpack(file, memoryview(data)) != member.file_size:
        raise zipfile.BadZipFile(f"it does not unpack to its {member.file_size:,} bytes")
    return bytes(data)
