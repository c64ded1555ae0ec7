"""Find files by a name, a folder or a glob, on this machine or on a server."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from calibtool.data.files import secrets, store
from calibtool.errors import InputError

# suffix -> how Arrow calls the format; npz and npy are read by numpy
ARROW_FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".csv": "csv",
    ".tsv": "tsv",
}
LINES = (".jsonl", ".ndjson")  # suffixes of JSON lines
# suffixes of logs, of all formats of `calibtool.data.logs`
LOGS = (*LINES, ".json", ".jevl", ".eval", ".parquet")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
# documents of the folders that Hugging Face's datasets writes: of a data set, and of several
STATE, INFO, DICT = "state.json", "dataset_info.json", "dataset_dict.json"
_NONE_IN_FOLDER = f"no file with a suffix of {', '.join((*ARROW_FORMATS, *LINES))} in this folder"


def uncompressed(name: str) -> tuple[str, str]:
    """Return the name of a file without the suffix of its compression, and that suffix or "".

    >>> uncompressed("a.csv.gz"), uncompressed("a.csv")
    (('a.csv', '.gz'), ('a.csv', ''))
    """
    last = PurePosixPath(name).suffix
    if last.lower() in COMPRESSIONS:
        return name[: -len(last)], last.lower()
    return name, ""


@dataclass(frozen=True)
class FileSet:
    """The files that a name, a folder, a glob or an address stands for, sorted by name.

    Attributes:
        text: what the user wrote, without credentials.
        paths: the paths as the file system expects them.
        base: the named folder, below which folders called key=value are columns; None for a glob.
        several: whether a folder or a glob was named, however many files it holds.
        filesystem: pyarrow's, or None for files of this machine.
        prefix: what messages put before a path.
    """

    text: str
    paths: tuple[str, ...]
    base: str | None = None
    several: bool = False
    filesystem: Any = None
    prefix: str = ""

    def show(self, path: str) -> str:
        """Return a path as messages show it."""
        return secrets.without_secrets(self.prefix + path)

    def suffix(self, path: str) -> str:
        """Return the suffix of a path in lower case, without that of a compression; of an address,
        without its query."""
        bare = path.split("?", maxsplit=1)[0] if "://" in path else path
        return PurePosixPath(uncompressed(bare)[0]).suffix.lower()


def absolute(files: FileSet, path: str) -> str:
    """Return a local path as an absolute one: pyarrow takes a relative path with a colon for an
    address. A path on a server stays as it is."""
    return path if files.filesystem else str(Path(path).absolute())


def find(text: str) -> FileSet:
    """Find the files that a name, a folder, a glob or an address stands for.

    Raises InputError if there are none.
    """
    if not text.strip() or "\0" in text:
        raise InputError(f"{text!r}: no file can have this name")
    if store.is_remote(text):
        return _remote(text)
    shown = secrets.without_secrets(text)  # an address of no known form is looked for as a file
    try:
        return _local(store.local_path(text), shown)
    except OSError as error:
        raise InputError(f"{shown}: {error.strerror or error}") from error


def _local(text: str, shown: str) -> FileSet:
    path = Path(text)
    if path.is_dir():
        files = sorted(_below(text))
        _require(files, shown, _NONE_IN_FOLDER)
        return FileSet(text, tuple(str(p) for p in files), base=text, several=True)
    # a file may have brackets in its name
    if glob.has_magic(text) and not path.exists():
        files = sorted({p for match in glob.glob(text, recursive=True) for p in _below(match)})
        _require(files, shown, "no file matches")
        return FileSet(text, tuple(str(p) for p in files), several=True)
    if not path.exists():
        raise InputError(f"{shown}: no such file")
    return FileSet(text, (str(path),))


def _below(match: str) -> list[Path]:
    """Return the file of a path, or the data files below a folder."""
    path = Path(match)
    if path.is_file():
        return [path]
    return [p for p in path.rglob("*") if p.is_file() and _is_data(p.name)]


def _is_data(name: str) -> bool:
    """Return whether a file of a folder is data: Spark and others leave _SUCCESS and the like
    beside it."""
    suffix = PurePosixPath(uncompressed(name)[0]).suffix.lower()
    return suffix in (*ARROW_FORMATS, *LINES) and not name.startswith((".", "_"))


def _require(files: Iterable[Any], text: str, missing: str) -> None:
    """Raise InputError, which says what is `missing`, if there are no files."""
    if not files:
        raise InputError(f"{text}: {missing}")


def _remote(address: str) -> FileSet:
    location = store.connect(address)
    text = secrets.without_secrets(address)
    shared = {"filesystem": location.filesystem, "prefix": location.prefix}
    # in a path that is an address itself, ? begins the query
    wildcard = re.search(r"[*\[]" if "://" in location.path else r"[*?\[]", location.path)
    if wildcard:
        base = location.path[: wildcard.start()].rpartition("/")[0]
        named = re.compile(_as_regex(location.path))
        inside = re.compile(f"{_as_regex(location.path)}/.*")  # a file in a folder that matches
        files = [
            path
            for path in location.listed(base, text)
            if named.fullmatch(path)
            or (inside.fullmatch(path) and _is_data(path.rpartition("/")[2]))
        ]
        _require(files, text, "no file matches")
        return FileSet(text, tuple(sorted(files)), several=True, **shared)
    if location.is_folder(text):
        base = location.path.rstrip("/")
        every = location.listed(base, text)
        _require_no_dataset(base, every, text)
        files = [p for p in every if _is_data(p.rpartition("/")[2])]
        _require(files, text, _NONE_IN_FOLDER)
        return FileSet(text, tuple(sorted(files)), base=base, several=True, **shared)
    return FileSet(text, (location.path,), **shared)


def _require_no_dataset(base: str, files: Iterable[str], text: str) -> None:
    """Raise InputError for a data set of Hugging Face: read as any folder, it would lose the order
    of its shards and the names of its classes."""
    beside = {path.removeprefix(f"{base}/") for path in files}
    if DICT in beside or {STATE, INFO} <= beside:
        raise InputError(
            f"{text}: a folder of Hugging Face's datasets, which can only be read from this "
            "machine; copy the folder here first, or write the data set as parquet (to_parquet)"
        )


def _as_regex(pattern: str) -> str:
    """Return a glob, in which ** matches any number of folders, as a regular expression."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if "://" in pattern:
        known["?"] = r"\?"
    return "".join(
        known.get(piece)
        or (f"[{piece[1:-1].replace('!', '^', 1)}]" if piece[:1] == "[" else re.escape(piece))
        for piece in pieces
        if piece
    )
