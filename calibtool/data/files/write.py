"""Write files atomically: to a temporary file beside the target, which is then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from calibtool.data.class_sets import as_json, as_matrix, is_sets
from calibtool.data.files.part_file import part_file
from calibtool.data.files.reader import NULLS
from calibtool.data.predictions import Predictions
from calibtool.errors import UsageError
from calibtool.types import Array

Columns: TypeAlias = Mapping[str, Array]
Names: TypeAlias = tuple[str, ...] | None  # of the classes
_MOST_LINKS = 40  # links to links that Linux follows, too


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` only when the block ends without an error.

    A link is written through. A device, a pipe, or a stream that this process has open
    (/dev/stdout) is written to directly. Raises UsageError if it cannot be written.
    """
    target = Path(path)
    try:
        real = _real(target)
        with _stream(target, real) or part_file(real) as file:
            yield file
    except BrokenPipeError:  # the reader of a pipe closed it: no error of the file
        raise
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error


def require_writable(path: str | Path) -> None:
    """Check that `path` can be written, before the work whose result goes there.

    Raises UsageError.
    """
    target = Path(path)
    try:
        real = _real(target)
        if (not real.is_file() and real.exists()) or _descriptor(target) is not None:
            return  # what `_stream` writes to: nothing is created beside it
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error
    if not os.access(real.parent, os.W_OK):
        what = "is read-only" if real.parent.is_dir() else "is not a folder"
        raise UsageError(f"{path}: cannot be written: {real.parent} {what}")


def _real(target: Path) -> Path:
    """Return the target, links resolved. Raises OSError, and UsageError for a target that cannot be
    replaced."""
    if "\0" in str(target):
        raise UsageError(f"{str(target)!r}: no file can have this name")
    try:
        target.stat()
    except FileNotFoundError:  # a new file, perhaps that of a link
        exists = False
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"{target}: is a link that leads back to itself; remove it") from error
        raise
    else:
        exists = True
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; give the name of a file")
    if exists and not os.access(target, os.W_OK):
        raise UsageError(f"{target}: is read-only; give another name or change its permissions")
    return target.resolve() if target.is_symlink() else target


def _stream(target: Path, real: Path) -> AbstractContextManager[IO[bytes]] | None:
    """Open what has to be written to directly: a device, a pipe, or a stream that is open already,
    whatever file it leads to. Return None for a file that can be replaced."""
    descriptor = _descriptor(target)
    if descriptor is not None:
        return os.fdopen(os.dup(descriptor), "wb")
    return real.open("wb") if real.exists() and not real.is_file() else None


def _descriptor(target: Path) -> int | None:
    """Return the number of the open stream that a path such as /dev/stdout stands for, or None.

    The file behind it must not be replaced: a shell that appends to it would lose it.
    """
    own = (Path("/dev/fd"), Path(f"/proc/{os.getpid()}/fd"))
    path = target.absolute()
    for _ in range(_MOST_LINKS):
        if path.name.isdigit() and path.parent.resolve() in own:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, atomically.

    Raises UsageError if it cannot be written.
    """
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def make_folder(folder: Path) -> None:
    """Create a folder, unless there is one; raise UsageError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{folder}: cannot be created: {reason}") from error


# NumPy's codes of long doubles and complex numbers, which Arrow has no types for
WIDE = "gFDG"


def write_predictions(
    predictions: Predictions,
    path: str | Path,
    columns: Mapping[str, Array] | None = None,
    label: str = "labels",
) -> None:
    """Write predictions in the format of the suffix, as `calibtool evaluate` reads them.

    Keys are those of `columns` or, by default, `logits`, `probs` or `confidence`, then `labels` or
    `correct`, `weights`, `classes`, and the columns carried along. The column `label` holds class
    ids, which are written as names where those are known. Raises UsageError for an unknown suffix,
    a column that the format cannot hold, and a file that cannot be written.
    """
    target = Path(path)
    require_suffix(target)
    columns = {**predictions.extra, **_columns(predictions)} if columns is None else columns
    columns = {name: _held(array, predictions, target) for name, array in columns.items()}
    columns, nulls = _parted(columns)
    for name, array in columns.items() if target.suffix.lower() != ".npz" else ():
        has = f"has {array.ndim} dimensions" if array.ndim > 2 else ""
        if array.dtype.char in WIDE:
            has = f"holds numbers of the type {array.dtype}"
        if has:
            raise UsageError(f"{target}: column {name!r} {has}; only npz can hold those")
    objects = [name for name, array in columns.items() if array.dtype.hasobject]
    if objects and target.suffix.lower() == ".npz":
        raise UsageError(
            f"{target}: column {objects[0]!r} is of a type that npz could only hold as a pickle; "
            "write parquet"
        )
    with whole_file(target) as file:
        WRITERS[target.suffix.lower()](file, columns, nulls, predictions.class_names, label)


def require_suffix(path: str | Path) -> None:
    """Check that predictions can be written in the format of a suffix; raise UsageError."""
    target = Path(path)
    if target.suffix.lower() not in WRITERS:
        known = ", ".join(WRITERS)
        raise UsageError(
            f"{target}: cannot write files with suffix {target.suffix!r}; expected one of {known}"
        )


def _parted(columns: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the columns, and where those that lack values have none, by name."""
    held = {name: array for name, array in columns.items() if not name.startswith(NULLS)}
    gaps = {name.removeprefix(NULLS): a for name, a in columns.items() if name.startswith(NULLS)}
    return held, {name: gap for name, gap in gaps.items() if name in held and gap.any()}


def _held(array: Array, predictions: Predictions, target: Path) -> Array:
    """Return a column as a file can hold it: one of sets as the module of these says."""
    suffix = target.suffix.lower()
    if suffix == ".npz" and is_sets(array):
        return as_matrix(array, predictions.class_names or range(predictions.classes or 0))
    return as_json(array) if suffix == ".csv" and is_sets(array) else array


def _columns(predictions: Predictions) -> dict[str, Array]:
    values = predictions.values[:, 0] if predictions.one_column else predictions.values
    columns = {predictions.kind: values}
    named = {
        "labels": predictions.labels,
        "correct": predictions.correct,
        "weights": predictions.weights,
    }
    return columns | {name: array for name, array in named.items() if array is not None}


def _npz(file: IO[bytes], columns: Columns, nulls: Columns, names: Names, label: str) -> None:
    arrays: dict[str, Any] = dict(columns)
    for name, gap in nulls.items():
        arrays[name] = _emptied(columns[name], gap)
    if names:
        arrays["classes"] = np.array(names)
    np.savez(file, **arrays)


def _emptied(array: Array, gap: Array) -> Array:
    """Return an array that stands for a column with gaps where no format knows them: NaN, NaT, or
    "" among texts."""
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    full = array.copy()
    full[gap] = {"f": np.nan, "M": "NaT", "m": "NaT"}.get(array.dtype.kind, "")
    return full


def _table(columns: Columns, nulls: Columns, names: Names, label: str) -> Any:
    import pyarrow as pa

    arrays = {}
    for name, given in columns.items():
        array = given.astype(given.dtype.newbyteorder("="), copy=False)  # as Arrow wants it
        if array.ndim == 2:
            flat = pa.array(np.ascontiguousarray(array).ravel())
            gap = pa.array(nulls[name]) if name in nulls else None
            if not array.shape[1]:  # no value in any list, whose fixed number Arrow wants above 0
                empty: list[list[float]] = [[] for _ in array]
                arrays[name] = pa.array(empty, pa.list_(flat.type), mask=nulls.get(name))
                continue
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, array.shape[1], mask=gap)
        elif name == label and names:
            codes = pa.array(array.astype(np.int32))
            arrays[name] = pa.DictionaryArray.from_arrays(codes, list(names))
        elif is_sets(array):  # with the type of its items, which empty sets do not tell
            item = pa.string() if names else pa.int64()
            arrays[name] = pa.array(array.tolist(), pa.list_(item))
        else:
            arrays[name] = pa.array(array, mask=nulls.get(name))
    return pa.table(arrays)


def _parquet(file: IO[bytes], columns: Columns, nulls: Columns, names: Names, label: str) -> None:
    import pyarrow.parquet as pq

    pq.write_table(_table(columns, nulls, names, label), file)


def _ipc(file: IO[bytes], columns: Columns, nulls: Columns, names: Names, label: str) -> None:
    from pyarrow import feather

    feather.write_feather(_table(columns, nulls, names, label), file, compression="uncompressed")


def _csv(file: IO[bytes], columns: Columns, nulls: Columns, names: Names, label: str) -> None:
    import pyarrow as pa
    from pyarrow import csv

    if names and any(name.isdigit() for name in names):
        names = None  # a column logit_10 would be read as that of class 10
    flat = {}
    for name, array in columns.items():
        if array.ndim == 2:
            for k, column in enumerate(array.T):
                stem = name.removesuffix("s")
                flat[f"{stem}_{names[k] if names else k}"] = pa.array(
                    np.ascontiguousarray(column), mask=nulls.get(name)
                )
        elif name == label and names:
            flat[name] = pa.array(np.array(names)[array].tolist())
        else:
            plain = array.astype(int) if array.dtype == bool else array
            made = pa.array(plain, mask=nulls.get(name))
            flat[name] = _as_text(name, made) if pa.types.is_binary(made.type) else made
    csv.write_csv(pa.table(flat), file)


def _as_text(name: str, column: Any) -> Any:
    """Return a column of bytes as texts. Raises UsageError if they are none."""
    import pyarrow as pa

    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise UsageError(
            f"column {name!r} holds bytes that are not UTF-8, which csv cannot hold; write parquet"
        ) from error


WRITERS: dict[str, Callable[[IO[bytes], Columns, Columns, Names, str], None]] = {
    ".npz": _npz,
    ".parquet": _parquet,
    ".feather": _ipc,
    ".arrow": _ipc,
    ".csv": _csv,
}
