"""Zip archives from outside: every way in which one can be damaged becomes an InputError."""

from __future__ import annotations

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from calibtool.data.files.store import open_checked
from calibtool.errors import InputError

_CHUNK = 1 << 20  # bytes unpacked at a time: they are held twice for a moment
# What `zipfile` and the decompressors below it raise on damaged bytes. RuntimeError: encrypted;
# its subclass NotImplementedError: unknown methods and flags; ValueError: names that are not
# UTF-8, and offsets that are negative; EOFError: a stream that ends early.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, OverflowError, RuntimeError, ValueError),
)


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile]]:
    """Open a zip archive; yield its file and the archive. Damage becomes an InputError."""
    shown = str(path)
    with open_checked(path, shown) as raw, damage_named(shown), zipfile.ZipFile(raw) as archive:
        yield raw, archive


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Turn what reading a damaged archive raises into an InputError that begins with `where`: the
    archive, or the archive and a member."""
    try:
        yield
    except _DAMAGE as error:
        # a damaged offset makes the system refuse to seek: EINVAL is no error of the disk
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise InputError(f"{where}: {error.strerror}") from error
        raise InputError(
            f"{where}: not a whole zip archive, which npz files are ({error}); it may be damaged, "
            "truncated, encrypted or of another format: write it again"
        ) from error


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
