"""Addresses of object stores and servers: who reads them, and what of them may be shown.

pyarrow reads s3, gs, abfs and hdfs; fsspec, where it is installed, everything else. Credentials are
found as those find them; no message shows what an address carries of them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from calibtool.data.files.secrets import _OF_SERVER, clean, without_secrets
from calibtool.errors import InputError, UnreadableError

ATTEMPTS = 5  # at a request that a server turns down for now
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_BY_ARROW = {"gs", "gcs", "abfs", "abfss", "hdfs", "viewfs"}
_NOT_THERE = ("NO_SUCH_KEY", "RESOURCE_NOT_FOUND")


def is_remote(text: str) -> bool:
    """Whether this is the address of something that does not lie on this machine."""
    found = _SCHEME.match(text)
    return found is not None and found[1].lower() != "file"


def local_path(text: str) -> str:
    """A path, also from file://."""
    found = _SCHEME.match(text)
    return unquote(urlsplit(text).path) if found else text


def of_server(error: BaseException) -> bool:
    """Whether a server, or the way to it, failed, rather than a file."""
    if isinstance(error, PermissionError | ConnectionError | TimeoutError):
        return True
    text = str(error)
    return any(mark in text for mark in _OF_SERVER) and not any(m in text for m in _NOT_THERE)


def require_content(path: str, shown: str) -> None:
    """Whether a file of this machine can be opened, and holds anything."""
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UnreadableError(shown, error.strerror or str(error)) from error
    if size == 0:
        raise UnreadableError(shown, "the file is empty")


@dataclass(frozen=True)
class RemoteLocation:
    """Where an address leads.

    Attributes:
        filesystem: pyarrow's.
        path: as the file system takes it.
        prefix: what was before the path in the address.
    """

    filesystem: Any
    path: str
    prefix: str

    def is_folder(self, shown: str) -> bool:
        """Whether the path is that of a folder; an error where there is nothing."""
        from pyarrow import fs

        if self.path.endswith("/"):
            return True
        if "://" in self.path:  # a page is a file: what is no file says so when it is read
            return False
        kind = self._asked(shown, lambda: self.filesystem.get_file_info(self.path).type)
        if kind == fs.FileType.NotFound:
            raise InputError(f"{shown}: no such file")
        return bool(kind == fs.FileType.Directory)

    def listed(self, folder: str, shown: str) -> list[str]:
        """The files below a folder."""
        from pyarrow import fs

        selector = fs.FileSelector(folder, recursive=True)
        infos = self._asked(shown, lambda: self.filesystem.get_file_info(selector))
        return [info.path for info in infos if info.type == fs.FileType.File]

    def _asked(self, shown: str, ask: Any) -> Any:
        import pyarrow as pa

        try:
            return ask()
        except FileNotFoundError as error:
            raise InputError(f"{shown}: no such file or folder") from error
        except (OSError, pa.ArrowException, ValueError) as error:
            raise InputError(f"{shown}: cannot be listed: {clean(error)}") from error


def connect(address: str) -> RemoteLocation:
    """The file system of an address, and the path in it."""
    import pyarrow as pa
    from pyarrow import fs

    shown = without_secrets(address)
    scheme = address.partition("://")[0].lower()
    try:
        if scheme in ("s3", "s3a"):
            return _s3(address)
        if scheme in _BY_ARROW:
            joint = "&" if "?" in address else "?"
            patient = f"{joint}retry_limit_seconds=10" if scheme in ("gs", "gcs") else ""
            filesystem, path = fs.FileSystem.from_uri(address + patient)
            prefix = f"{scheme}://"
            return RemoteLocation(filesystem, path, prefix)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise InputError(f"{shown}: cannot be opened: {clean(error)}") from error
    from calibtool.data.files import fetch

    return RemoteLocation(*fetch.connect(address, scheme, shown))


def _s3(address: str) -> RemoteLocation:
    """S3, or a server that speaks its language, as AWS_ENDPOINT_URL or the address names it."""
    from pyarrow import fs

    parts = urlsplit(address)
    asked = dict(parse_qsl(parts.query))
    unknown = sorted(set(asked) - {"region", "scheme", "endpoint_override"})
    if unknown:
        raise ValueError(f"an address of S3 takes region, scheme, endpoint_override, not {unknown}")
    named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    endpoint = asked.get("endpoint_override") or named
    how: dict[str, Any] = {"retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)}
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        how["endpoint_override"] = host.rstrip("/")
        how["scheme"] = asked.get("scheme") or scheme or "https"
    region = asked.get("region") or os.environ.get("AWS_REGION")
    bucket = parts.netloc.rpartition("@")[2]
    how["region"] = region or (None if endpoint else fs.resolve_s3_region(bucket))
    if parts.username and parts.password:
        how["access_key"], how["secret_key"] = unquote(parts.username), unquote(parts.password)
    return RemoteLocation(fs.S3FileSystem(**how), bucket + unquote(parts.path), "s3://")
