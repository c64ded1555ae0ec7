"""Readers and writers: one table of readers by suffix, one way to open a file."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from calibtool.errors import InputError, UsageError
from calibtool.files.roles import Choice, resolve
from calibtool.files.source import Source
from calibtool.files.table import Table
from calibtool.files.write import require_writable, whole_file, write_predictions, write_text
from calibtool.predictions import Predictions

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
SUFFIXES = (".npz", ".npy", *ARROW_FORMATS)
PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".joblib", ".bin"}


def open_table(path: str | Path) -> Table:
    """A file, a folder or a glob as named columns; nothing but headers is read."""
    from calibtool.files import npz

    text = str(path)
    paths = _paths(text)
    suffix = paths[0].suffix.lower()
    if suffix in PICKLES:
        raise InputError(
            f"{text}: pickles can run code and are never read; save arrays with np.savez"
        )
    if suffix not in SUFFIXES:
        raise InputError(f"{text}: unknown suffix {suffix!r}; there are {', '.join(SUFFIXES)}")
    for other in paths:
        npz.open_checked(other).close()
        if other.suffix.lower() != suffix:
            raise InputError(f"{text}: holds both {suffix} and {other.suffix} files; name one kind")
    if suffix in ARROW_FORMATS:
        from calibtool.files.arrow import ArrowTable

        return ArrowTable(text, paths, ARROW_FORMATS[suffix])
    if len(paths) > 1:
        raise InputError(
            f"{text}: {len(paths)} {suffix} files; several are read only in parquet, Arrow and csv"
        )
    return npz.read_npz(paths[0]) if suffix == ".npz" else npz.read_npy(paths[0])


def open_source(
    path: str | Path,
    choice: Choice | None = None,
    *,
    need_labels: bool = True,
    extra: Sequence[str] = (),
) -> Source:
    """Predictions in a file, ready to be read in blocks."""
    choice = choice or Choice()
    table = open_table(path)
    roles = resolve(table, choice, need_labels=need_labels)
    labels = None
    if choice.labels_file:
        side = open_table(choice.labels_file)
        if len(side.columns) != 1:
            raise UsageError(f"--labels-file {choice.labels_file}: expected a single array (npy)")
        name = next(iter(side.columns))
        labels = next(side.blocks([name], max(side.rows, 1)), {name: None})[name]
    for name in extra:
        if name not in table.columns:
            raise InputError(f"{table.source}: there is no column {name!r}")
    return Source(table, roles, choice, labels, tuple(extra))


def load(path: str | Path, *, extra: Sequence[str] = (), **keys: object) -> Predictions:
    """Read predictions from npz, npy, parquet, Arrow, Feather or csv.

    Args:
        path: a file; for Arrow's formats also a folder or a glob.
        extra: further columns to carry along.
        keys: which column plays which part where the names do not say: `logits`, `probs`, `score`,
            `labels`, `labels_file`, `confidence`, `correct`, `predictions`, `weights`, `classes`,
            and `renormalize=True` for probabilities that do not sum to 1.

    Raises InputError for anything that is wrong with the file.
    """
    return open_source(path, _choice("load", keys), extra=extra).load()


def scan(path: str | Path, *, extra: Sequence[str] = (), **keys: object) -> Source:
    """The same predictions as `load` reads, to be read in blocks when they are asked for.

    `evaluate` and `fit` take the source in place of predictions; `source.blocks(rows)` reads them
    in file order, and `source.load()` at once.

    Raises InputError, now for what the file's headers tell, later for what is wrong with a row.
    """
    return open_source(path, _choice("scan", keys), extra=extra)


def _choice(caller: str, keys: dict[str, object]) -> Choice:
    try:
        return Choice(**keys)  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(f"{caller}: {error}") from error


def _paths(text: str) -> list[Path]:
    """The files that are meant, in the order of their names."""
    if not text.strip() or "\0" in text:
        raise InputError(f"{text!r}: no file can have this name")
    try:
        return _found(text)
    except OSError as error:
        raise InputError(f"{text}: {error.strerror or error}") from error


def _found(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.suffix.lower() in ARROW_FORMATS and p.is_file()]
        found = [p for p in found if not p.name.startswith((".", "_"))]
        missing = f"no file with a suffix of {', '.join(ARROW_FORMATS)} in this folder"
    elif glob.has_magic(text) and not path.exists():
        found = [Path(p) for p in glob.glob(text, recursive=True) if Path(p).is_file()]
        missing = "no file matches"
    else:
        found = [path]
        missing = ""
    if not found:
        raise InputError(f"{text}: {missing}")
    if not found[0].exists():
        raise InputError(f"{text}: no such file")
    return sorted(found)


__all__ = [
    "Choice",
    "Source",
    "Table",
    "load",
    "open_source",
    "open_table",
    "require_writable",
    "scan",
    "whole_file",
    "write_predictions",
    "write_text",
]
