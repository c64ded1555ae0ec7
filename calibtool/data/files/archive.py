"""Zip archives from outside: every way in which one can be damaged becomes an InputError.

Arrays are unpacked into a buffer of known size (`unpack`); members of our own formats are read
within limits that the caller knows (`Archive`).
"""

from __future__ import annotations

import errno
import io
import lzma
import math
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from calibtool.data.files.document import Document
from calibtool.data.files.store import open_checked
from calibtool.errors import InputError, brief

_CHUNK = 1 << 20  # bytes unpacked at a time: they are held twice for a moment
# What `zipfile` and the decompressors below it raise on damaged bytes. RuntimeError: encrypted;
# its subclass NotImplementedError: unknown methods and flags; ValueError: names that are not
# UTF-8, and offsets that are negative; EOFError: a stream that ends early.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, OverflowError, RuntimeError, ValueError),
)

# What the members of a file may unpack to by default: a file of a few MB must not fill the memory.
# 16 times its size is beyond what logits, probabilities, labels and most texts compress to, and
# small files may hold constant arrays.
UNPACKED, EXPANSION = 1 << 28, 16
GB = 10**9  # the unit of `max_unpacked`
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that writers of ours use
# Records of a zip (APPNOTE.TXT 4.3 of PKWARE). Before a member: signature, flags, lengths of its
# name and of what follows the name. In the directory: signature, flags, method, CRC, packed and
# unpacked size, lengths of the name and of two fields after it, offset. At the end: signature,
# number of members, size and offset of the directory, length of the comment.
_BEFORE, _ENTRY = struct.Struct("<4s2xH18xHH"), struct.Struct("<4s4xHH4xLLLHHH8xL")
_END = struct.Struct("<4s6xHLLH")
_ENCRYPTED, _PATCHED, _UTF8 = 0x1, 0x60, 0x800  # flags
_IN_ZIP64 = 0xFFFFFFFF  # in place of a size or an offset that stands elsewhere
# Deflated bytes that a member may have beyond its own size: what cannot be compressed is stored, in
# blocks of at least 16 KiB with 5 bytes more each.
_STORED_SHARE, _STORED_ROOM = 1000, 1 << 10


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile]]:
    """Open a zip archive; yield its file and the archive. Damage becomes an InputError."""
    shown = str(path)
    with open_checked(path, shown) as raw, damage_named(shown), zipfile.ZipFile(raw) as archive:
        yield raw, archive


@contextmanager
def damage_named(where: str, what: str = "npz files") -> Iterator[None]:
    """Turn what reading a damaged archive raises into an InputError that begins with `where`: the
    archive, or the archive and a member. `what` says which files are such archives."""
    try:
        yield
    except _DAMAGE as error:
        # a damaged offset makes the system refuse to seek: EINVAL is no error of the disk
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise InputError(f"{where}: {error.strerror}") from error
        raise InputError(
            f"{where}: not a whole zip archive, which {what} are ({brief(str(error))}); it may "
            "be damaged, truncated, encrypted or of another format: write it again"
        ) from error


def require_room(where: str, total: int, packed: int, max_unpacked: float | None) -> None:
    """Check that members may unpack to `total` bytes, by what a file of `packed` bytes declares.

    They may unpack to `max_unpacked` GB, by default to as much as UNPACKED and EXPANSION allow,
    and to no more than the memory of this machine. Raises InputError, which begins with `where`.
    """
    if total <= UNPACKED:
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit: float = max(UNPACKED, EXPANSION * packed)
    if max_unpacked is not None:
        limit = max_unpacked * GB
    if total > min(limit, memory):
        advice = f"this machine's memory of {memory / GB:.3g} GB; store it uncompressed"
        if total <= memory:
            advice = (
                f"the limit of {limit / GB:.3g} GB; if it is meant to, pass "
                f"--max-unpacked {math.ceil(total / GB)}"
            )
        raise InputError(f"{where}: declares {total:,} bytes when unpacked, more than {advice}")


def unpack(file: IO[bytes], into: memoryview) -> int:
    """Fill a buffer from a compressed member; return the bytes that were filled.

    Sizes in the archive are not believed: no more is unpacked than the buffer holds and one byte,
    and fewer bytes are returned if the stream ends early. Reading to the end checks the CRC.
    """
    filled = 0
    while filled < len(into):
        chunk = file.read(min(len(into) - filled, _CHUNK))
        if not chunk:
            return filled
        into[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    return filled + len(file.read(1))


class _Member(NamedTuple):
    """What the directory of a zip says of a member."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


class Archive:
    """A zip that is open for reading. Raises InputError if it is none.

    Attributes:
        document: what to call the file, and what it should be.
    """

    def __init__(self, document: Document, file: IO[bytes]) -> None:
        self.document, self._file = document, file
        try:
            members = _directory(file) or _any_directory(file)
        except _DAMAGE as error:
            document.refuse(f"not a whole zip: {brief(str(error))}")
        self._members = {member.name: member for member in members}
        if len(self._members) < len(members):
            (name, _), *_ = Counter(member.name for member in members).most_common(1)
            document.refuse(f"the member {brief(name)!r} stands twice in the zip")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Return the number of bytes of a member, which must be there."""
        if name not in self._members:
            self.document.refuse(f"the member {name} is missing")
        return self._members[name].size

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a member. Raises InputError if it has more than `most`, or is
        damaged."""
        size = self.size(name)
        if size > most:
            self.document.refuse(f"the member {name} has {size:,} bytes; at most {most:,} can be")
        member = self._members[name]
        if member.method not in _METHODS:
            self.document.refuse(
                f"the member {name} is compressed by method {member.method}; stored or deflated is "
                "expected"
            )
        try:
            data = _unpacked(self._file, member)
        except _DAMAGE as error:
            self.document.refuse(f"the member {name} is damaged: {brief(str(error))}")
        if len(data) != size:
            self.document.refuse(f"the member {name} has {len(data):,} of its {size:,} bytes")
        return data


def _directory(file: IO[bytes]) -> list[_Member]:
    """Return the members of a zip as most writers make it, and none of any other: one of more than
    4 GB, with a comment, behind other bytes, or damaged.

    `zipfile` takes longer to read the directory of a small file than its members take.
    """
    end = file.seek(0, io.SEEK_END) - _END.size
    if end < 0:
        return []
    file.seek(end)
    mark, count, length, start, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\5\6" or comment or start + length != end:
        return []
    file.seek(start)
    data, at, members = file.read(length), 0, []
    while at + _ENTRY.size <= length:
        mark, flags, method, crc, packed, size, *lengths, offset = _ENTRY.unpack_from(data, at)
        name = data[at + _ENTRY.size :][: lengths[0]]
        if mark != b"PK\1\2" or not name.isascii() or _IN_ZIP64 in (packed, size, offset):
            return []
        members.append(_Member(name.decode(), flags, method, crc, packed, size, offset))
        at += _ENTRY.size + sum(lengths)
    return members if at == length and len(members) == count else []


def _any_directory(file: IO[bytes]) -> list[_Member]:
    """Return the members of any zip. Raises _DAMAGE."""
    return [
        _Member(
            *(info.filename, info.flag_bits, info.compress_type, info.CRC),
            *(info.compress_size, info.file_size, info.header_offset),
        )
        for info in zipfile.ZipFile(file).infolist()
    ]


def _unpacked(file: IO[bytes], member: _Member) -> bytes:
    """Return the bytes of a member, at most one more than its size. Raises _DAMAGE.

    `zipfile` reads members as streams, which takes longer than to unpack a short one.
    """
    file.seek(member.offset)
    mark, flags, length, extra = _BEFORE.unpack(file.read(_BEFORE.size))
    if mark != b"PK\3\4":
        raise zipfile.BadZipFile("no header stands before it")
    name = file.read(length)
    ascii_or_utf8 = flags & _UTF8 or name.isascii()
    if name.decode("utf-8" if ascii_or_utf8 else "cp437") != member.name:
        raise zipfile.BadZipFile(f"the header before it names {brief(repr(name))}")
    if member.flags & (_ENCRYPTED | _PATCHED):
        raise zipfile.BadZipFile("it is encrypted or patched")
    file.seek(extra, io.SEEK_CUR)
    # Python makes room for all that is asked for
    room = member.size + member.size // _STORED_SHARE + _STORED_ROOM
    data = file.read(min(member.packed, room))
    if member.method == zipfile.ZIP_DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
    if zlib.crc32(data) != member.crc:
        raise zipfile.BadZipFile("its CRC-32 is another")
    return data
