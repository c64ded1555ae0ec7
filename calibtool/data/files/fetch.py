"""Files that fsspec reads, by ranges of bytes, with further attempts if a request fails."""

from __future__ import annotations

import io
import random
import tempfile
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from calibtool.data.files.secrets import clean
from calibtool.errors import InputError

T = TypeVar("T")
# Seconds before each further attempt: three in all, after which a server is down rather than busy.
# Up to half of a wait is added at random, so that many readers do not return at once.
WAITS = (0.1, 0.2, 0.4, 0.8, 1.6)
# Fewest bytes per request: Arrow reads footers and pages in small pieces, and a request takes as
# long as the transfer of a quarter of a megabyte.
AHEAD = 1 << 18


class ServerError(ConnectionError):
    """A server or the network failed in all attempts; the message is that of the last failure."""


def connect(address: str, scheme: str, shown: str) -> tuple[Any, str, str]:
    """Return a file system of fsspec's, for pyarrow, the path in it, and the path's prefix.

    Raises InputError if fsspec or a package that it needs is missing.
    """
    install = "pip install 'calibtool[remote]'"
    try:
        import fsspec
    except ImportError as error:
        raise InputError(f"{shown}: {scheme}:// is read through fsspec; {install}") from error
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise InputError(
            f"{shown}: {scheme}:// needs a package ({clean(error, address)}); {install} includes "
            "the one for http"
        ) from error
    except (ValueError, OSError) as error:
        raise InputError(f"{shown}: cannot be opened: {clean(error, address)}") from error
    prefix = "" if "://" in path else f"{scheme}://"
    return fs.PyFileSystem(Handler(filesystem)), path, prefix


class Handler(fs.FSSpecHandler):  # type: ignore[misc]
    """fsspec for pyarrow, with further attempts."""

    def get_file_info(self, paths: list[str]) -> Any:
        return patiently(lambda: super(Handler, self).get_file_info(paths))

    def get_file_info_selector(self, selector: Any) -> Any:
        return patiently(lambda: super(Handler, self).get_file_info_selector(selector))

    def open_input_file(self, path: str) -> Any:
        return pa.PythonFile(_Remote(self.fs, path), mode="r")

    def open_input_stream(self, path: str) -> Any:
        return pa.PythonFile(_Remote(self.fs, path), mode="r")


def patiently(work: Callable[[], T]) -> T:
    """Return the result of `work`, which is called again after a failure that may pass.

    Raises ServerError after the last attempt, or at once for a failure that will not pass.
    """
    for wait in (*WAITS, None):
        try:
            return work()
        except NotImplementedError:
            raise
        except Exception as error:  # every library below fsspec has errors of its own
            if isinstance(error, FileNotFoundError) and _is_missing(error):
                raise
            cause = (isinstance(error, FileNotFoundError) and error.__cause__) or error
            if wait is None or not _may_pass(cause):
                tried = f"{len(WAITS) + 1} attempts, the last: " if wait is None else ""
                raise ServerError(f"{tried}{_reason(cause)}") from None
            time.sleep(wait * random.uniform(1, 1.5))  # noqa: S311
    raise AssertionError


def _is_missing(error: FileNotFoundError) -> bool:
    """Return whether there is no such file. With http, fsspec raises FileNotFoundError for every
    failure; the cause tells which it was."""
    return error.__cause__ is None or getattr(error.__cause__, "status", None) == 404


def _may_pass(error: BaseException) -> bool:
    """Return whether another attempt may succeed: after failures of the server (5xx), timeouts
    (408), "too early" and "too many requests" (425, 429), and failures of the network."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return status >= 500 or status in (408, 425, 429)
    if isinstance(error, PermissionError):
        return False
    of_http = type(error).__module__.startswith("aiohttp")
    return isinstance(error, OSError | TimeoutError) or of_http


def _reason(error: BaseException) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    if status:
        return f"the server answered {status} {message or ''}".rstrip()
    return clean(error)


class _Remote(io.RawIOBase):
    """A file on a server, read by ranges; if the server gives no ranges, it is fetched whole, to a
    temporary file."""

    def __init__(self, filesystem: Any, path: str) -> None:
        super().__init__()
        self._copy: Any = None  # first: `close` is called of what never opened, too
        self._fs, self._path = filesystem, path
        info = patiently(lambda: filesystem.info(path))
        self._size = info.get("size")
        self._at = 0
        self._buffer, self._buffer_start = b"", 0
        if self._size is None or not info.get("partial", True):
            self._fetch_whole()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        return int(self._size)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, count: int = -1) -> bytes:
        left = max(self._size - self._at, 0)
        count = left if count is None or count < 0 else min(count, left)
        if self._copy is not None:
            self._copy.seek(self._at)
            data = self._copy.read(count)
        else:
            data = self._range(self._at, count)
        self._at += len(data)
        return bytes(data)

    def _range(self, start: int, count: int) -> bytes:
        inside = start - self._buffer_start
        if not (inside >= 0 and inside + count <= len(self._buffer)):
            end = min(start + max(count, AHEAD), self._size)
            data = patiently(lambda: self._fetch_range(start, end))
            if self._copy is not None:  # the server sent all of it
                self._copy.seek(start)
                return bytes(self._copy.read(count))
            self._buffer, self._buffer_start, inside = data, start, 0
        return self._buffer[inside : inside + count]

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Request a range.

        A server that ignores ranges answers with the whole file, which is then kept as a copy.
        """
        data = bytes(self._fs.cat_file(self._path, start=start, end=end)) if end > start else b""
        if len(data) == self._size and end - start != self._size:
            self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the file
            self._copy.write(data)
        elif len(data) != end - start:
            raise ConnectionError(f"{len(data):,} of {end - start:,} bytes arrived")
        return data

    def _fetch_whole(self) -> None:
        copy = tempfile.TemporaryFile()  # noqa: SIM115

        def fetch() -> None:
            copy.seek(0)
            copy.truncate()
            self._fs.get_file(self._path, copy)
            size = copy.seek(0, 2)
            if self._size is not None and size != self._size:
                raise ConnectionError(f"{size:,} of {self._size:,} bytes arrived")

        patiently(fetch)
        self._size = copy.seek(0, 2)
        self._copy = copy

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()
        super().close()
