"""Addresses of object stores and servers, and the file systems that read them.

pyarrow reads s3, gs, abfs and hdfs; fsspec, if it is installed, reads everything else. Credentials
are found as these libraries find them. No message shows the credentials in an address.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from calibtool.data.files.secrets import clean, without_secrets
from calibtool.errors import InputError, UnreadableError

# Attempts at a request that S3 rejects for the time being. pyarrow waits longer after each: a few
# seconds in all, after which a server is down rather than busy.
ATTEMPTS = 5
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_BY_ARROW = {"gs", "gcs", "abfs", "abfss", "hdfs", "viewfs"}
# Arrow raises the same type for errors of files and of servers; the text tells them apart.
_OF_SERVER = ("AWS Error", "google::cloud", "GCS", "Azure", "curl", "imeout", "imed out")
_KINDS = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
    stat.S_ISDIR: "a folder",
}
_NOT_THERE = ("NO_SUCH_KEY", "RESOURCE_NOT_FOUND")


def is_remote(text: str) -> bool:
    """Return whether a text is an address that leads away from this machine."""
    match = _SCHEME.match(text)
    return match is not None and match[1].lower() != "file"


def local_path(text: str) -> str:
    """Return a path as it is, or the path in an address file://."""
    return unquote(urlsplit(text).path) if _SCHEME.match(text) else text


def of_server(error: BaseException) -> bool:
    """Return whether a server or the network failed, rather than a file.

    A bad file can be skipped; a server that fails says nothing about its files.
    """
    if isinstance(error, PermissionError | ConnectionError | TimeoutError):
        return True
    text = str(error)
    return any(mark in text for mark in _OF_SERVER) and not any(m in text for m in _NOT_THERE)


def open_checked(path: str | Path, shown: str) -> IO[bytes]:
    """Open a file of this machine for reading; messages call it `shown`.

    Raises UnreadableError if it cannot be opened, is no regular file, or is empty.
    """
    try:
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - the caller closes it
    except FileNotFoundError as error:
        raise UnreadableError(shown, "no such file") from error
    except OSError as error:
        raise UnreadableError(shown, error.strerror or str(error)) from error
    status = os.fstat(file.fileno())
    try:
        require_regular(status.st_mode, shown)
    except UnreadableError:
        file.close()
        raise
    if status.st_size == 0:
        file.close()
        raise UnreadableError(shown, "the file is empty")
    return file


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe would otherwise be waited for until somebody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def require_regular(mode: int, shown: str) -> None:
    """Check by the mode of what was opened that it is a file, which can be read twice and ends.

    Raises UnreadableError for pipes, devices and sockets.
    """
    if not stat.S_ISREG(mode):
        kind = next((word for is_kind, word in _KINDS.items() if is_kind(mode)), "no file")
        raise UnreadableError(shown, f"is {kind}; write what is in it to a file, and read that")


@dataclass(frozen=True)
class RemoteLocation:
    """The file system of an address, and the path in it.

    Attributes:
        filesystem: pyarrow's.
        path: the path as the file system expects it.
        prefix: what stands before the path in the address.
    """

    filesystem: Any
    path: str
    prefix: str

    def is_folder(self, shown: str) -> bool:
        """Return whether the path is that of a folder.

        Raises InputError if there is nothing.
        """
        from pyarrow import fs

        if self.path.endswith("/"):
            return True
        # http has no folders: an address is a file, and reading it tells if it is not
        if "://" in self.path:
            return False
        kind = self._ask(shown, lambda: self.filesystem.get_file_info(self.path).type)
        if kind == fs.FileType.NotFound:
            raise InputError(f"{shown}: no such file")
        return bool(kind == fs.FileType.Directory)

    def listed(self, folder: str, shown: str) -> list[str]:
        """Return the paths of all files below a folder."""
        from pyarrow import fs

        selector = fs.FileSelector(folder, recursive=True)
        infos = self._ask(shown, lambda: self.filesystem.get_file_info(selector))
        return [info.path for info in infos if info.type == fs.FileType.File]

    def _ask(self, shown: str, request: Any) -> Any:
        """Return the answer to a request; raise InputError if it fails."""
        import pyarrow as pa

        try:
            return request()
        except FileNotFoundError as error:
            raise InputError(f"{shown}: no such file or folder") from error
        except (OSError, pa.ArrowException, ValueError) as error:
            raise InputError(f"{shown}: cannot be listed: {clean(error)}") from error


def connect(address: str) -> RemoteLocation:
    """Connect to the file system of an address.

    Raises InputError.
    """
    import pyarrow as pa
    from pyarrow import fs

    shown = without_secrets(address)
    scheme = address.partition("://")[0].lower()
    _require_whole_user(address, shown)
    try:
        if scheme in ("s3", "s3a"):
            return _s3(address)
        if scheme in _BY_ARROW:
            # pyarrow's default for Google is to retry for 15 minutes
            separator = "&" if "?" in address else "?"
            limit = f"{separator}retry_limit_seconds=10" if scheme in ("gs", "gcs") else ""
            filesystem, path = fs.FileSystem.from_uri(address + limit)
            prefix = f"{scheme}://"
            return RemoteLocation(filesystem, path, prefix)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise InputError(f"{shown}: cannot be opened: {clean(error, address)}") from error
    from calibtool.data.files import fetch

    return RemoteLocation(*fetch.connect(address, scheme, shown))


def _require_whole_user(address: str, shown: str) -> None:
    """Raise InputError for a password with a slash: libraries would end it there, and name its
    parts in their messages as a bucket or a port."""
    authority, _, path = address.partition("://")[2].partition("/")
    _, colon, port = authority.rpartition(":")
    if colon and "@" not in authority and "@" in path and not port.isdecimal():
        raise InputError(f"{shown}: a slash in a user or password must be written as %2F")


def _s3(address: str) -> RemoteLocation:
    """Connect to S3, or to a server with its interface that AWS_ENDPOINT_URL or the address names.

    Raises ValueError for options of the address that are not known.
    """
    from pyarrow import fs

    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    unknown = sorted(set(query) - {"region", "scheme", "endpoint_override"})
    if unknown:
        raise ValueError(f"an address of S3 takes region, scheme, endpoint_override, not {unknown}")
    variable = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    endpoint = query.get("endpoint_override") or variable
    retries = fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)
    options: dict[str, Any] = {"retry_strategy": retries}
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        options["endpoint_override"] = host.rstrip("/")
        options["scheme"] = query.get("scheme") or scheme or "https"
    region = query.get("region") or os.environ.get("AWS_REGION")
    bucket = parts.netloc.rpartition("@")[2]
    # only Amazon tells the region of a bucket; another server needs none
    options["region"] = region or (None if endpoint else fs.resolve_s3_region(bucket))
    if parts.username and parts.password:
        options["access_key"] = unquote(parts.username)
        options["secret_key"] = unquote(parts.password)
    return RemoteLocation(fs.S3FileSystem(**options), bucket + unquote(parts.path), "s3://")
