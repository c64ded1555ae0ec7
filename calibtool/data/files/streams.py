"""Files read from front to back: here or on a server, and decompressed on the way."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from calibtool.data.files import secrets
from calibtool.data.files.find import uncompressed
from calibtool.data.files.store import open_checked
from calibtool.errors import UnreadableError, brief

BUFFER = 1 << 20  # bytes read at a time: fewer calls than by 8 KB, Python's own
# What decompressors raise on damaged bytes, beside OSError; pyarrow's errors are ValueErrors
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, ValueError)


@dataclass(frozen=True)
class Stream:
    """A file to be read from its beginning. It can be pickled.

    Attributes:
        shown: what messages call it.
        path: as its file system expects it.
        filesystem: pyarrow's, or None for this machine.
    """

    shown: str
    path: str
    filesystem: Any = None

    def __call__(self) -> IO[bytes]:
        """Open the file, decompressed. Damage that is found on the way becomes UnreadableError."""
        raw: Any
        if self.filesystem is None:
            raw = open_checked(self.path, self.shown)
        else:
            from calibtool.data.files.arrow_batches import errors

            with errors(self.shown, near=False):
                raw = self.filesystem.open_input_stream(self.path, compression=None)
        _, compression = uncompressed(self.path.split("?", maxsplit=1)[0])
        if self.filesystem is None and not compression:
            return raw  # large reads go past its buffer
        return io.BufferedReader(_Guarded(_decompressed(raw, compression), raw, self.shown), BUFFER)


def _decompressed(raw: Any, compression: str) -> Any:
    if compression == ".zst":  # Python has it from 3.14 on
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")
    opened: dict[str, Callable[[Any], Any]] = {
        ".gz": lambda file: gzip.GzipFile(fileobj=file),
        ".bz2": bz2.BZ2File,
        ".xz": lzma.LZMAFile,
    }
    return opened[compression](raw) if compression else raw


class _Guarded(io.RawIOBase):
    """A stream whose errors name the file."""

    def __init__(self, stream: Any, raw: Any, shown: str) -> None:
        self._stream, self._raw, self._shown = stream, raw, shown

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            if hasattr(self._stream, "readinto"):
                return int(self._stream.readinto(buffer))
            data = self._stream.read(len(buffer))
        except OSError as error:
            reason = secrets.clean(error) if error.strerror is None else error.strerror
            raise UnreadableError(self._shown, f"cannot be read: {reason}") from error
        except _DAMAGE as error:
            what = f"damaged or cut short ({brief(str(error))})"
            raise UnreadableError(self._shown, what) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._raw.close()  # gzip leaves the file below it open
        super().close()
