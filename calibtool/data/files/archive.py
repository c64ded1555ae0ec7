"""Zip archives from outside: every way in which one can be damaged becomes an InputError.

Arrays are unpacked into a buffer of known size (`unpack`); members of our own formats are read
within limits that the caller knows (`Archive`).
"""

from __future__ import annotations

import errno
import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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


class Archive:
    """A zip that is open for reading. Raises InputError if it is none.

    Attributes:
        document: what to call the file, and what it should be.
    """

    def __init__(self, document: Document, file: IO[bytes]) -> None:
        self.document = document
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGE as error:
            document.refuse(f"not a whole zip: {brief(str(error))}")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            if member.filename in self._members:
                document.refuse(f"the member {brief(member.filename)!r} stands twice in the zip")
            self._members[member.filename] = member

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Return the number of bytes of a member, which must be there."""
        if name not in self._members:
            self.document.refuse(f"the member {name} is missing")
        return self._members[name].file_size

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a member. Raises InputError if it has more than `most`, or is
        damaged."""
        size = self.size(name)
        if size > most:
            self.document.refuse(f"the member {name} has {size:,} bytes; at most {most:,} can be")
        member = self._members[name]
        if member.compress_type not in _METHODS:
            self.document.refuse(
                f"the member {name} is compressed by method {member.compress_type}; stored or "
                "deflated is expected"
            )
        try:
            with self._zip.open(member) as file:
                # of a limit: what is unpacked is else as long as the packed bytes make it
                data = file.read(max(size, 1))
        except _DAMAGE as error:
            self.document.refuse(f"the member {name} is damaged: {brief(str(error))}")
        if len(data) != size:
            self.document.refuse(f"the member {name} has {len(data):,} of its {size:,} bytes")
        return data
