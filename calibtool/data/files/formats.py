"""The table of formats: which reader opens which file, tried in this order.

A format is told by its suffix, without that of a compression, and where several share one by what
is in the file. `--reader NAME` forces one. Other packages add formats of logs by an entry point of
the group `calibtool.readers`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from calibtool.data.files.find import ARROW_FORMATS, LINES, LOGS, FileSet, uncompressed
from calibtool.data.files.reader import Reader
from calibtool.data.files.roles import Choice
from calibtool.data.files.streams import Stream
from calibtool.errors import CalibtoolError, InputError, UnreadableError, UsageError, near

if TYPE_CHECKING:
    from calibtool.data.files.partitions import Keys
    from calibtool.data.files.table_file import TableFile
    from calibtool.data.logs.log import LogFile, LogFormat

GROUP = "calibtool.readers"  # of entry points
# suffixes of files that are pickles, or mostly are
PICKLES = (".pkl", ".pickle", ".joblib", ".bin", ".p")
# Least `ulimit -v` with which pyarrow was seen to end on its own: on 2 cores it hangs now and then
# at 560 MB and aborts at 700 MB.
_LEAST_ADDRESSES = 1 << 30
CONVERT = (
    "pickles can run code and are never read; where the file is trusted, convert it: "
    'python -c "import pickle, numpy as np; z, y = pickle.load(open({name!r}, {mode!r})); '
    'np.savez({npz!r}, logits=z, labels=np.ravel(y))"'
)


@dataclass(frozen=True)
class Format:
    """A format that is told by its suffix.

    Attributes:
        name: for `--reader`.
        title: what `inspect` calls it.
        suffixes: of its files, but those of a compression.
        open: opens files of it.
        conditions: whether `--filter` works on it.
        several: whether several files, and compressed ones, are read as one table.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    open: Callable[[FileSet, Choice], Reader]
    conditions: bool = False
    several: bool = False


def _arrays(by: str) -> Callable[[FileSet, Choice], Reader]:
    """Return what opens arrays or tensors of one file: a function "MODULE.NAME" of this package,
    imported only then."""

    def open_arrays(files: FileSet, choice: Choice) -> Reader:
        module, _, name = by.partition(".")
        opener = getattr(import_module(f"calibtool.data.files.{module}"), name)
        opened: Reader = opener(Path(files.paths[0]), choice.max_unpacked)
        return opened

    return open_arrays


def open_dataset(path: str, choice: Choice) -> Reader:
    """Open a folder of Hugging Face's datasets."""
    from calibtool.data.files import hugging_face
    from calibtool.data.files.arrow import ArrowTable
    from calibtool.data.files.arrow_file import files_of
    from calibtool.data.files.partitions import keys_of

    folder = hugging_face.open_dataset(path, choice.split)
    return ArrowTable(
        folder.files.text,
        files_of(folder.files, "ipc", keys_of(folder.files)),
        choice.filter,
        skip_bad=choice.skip_bad_files,
        mapped=True,
        class_names=folder.classes,
        marks_unlabelled=bool(folder.classes),
    )


def open_arrow(files: FileSet, choice: Choice, *, kind: str) -> Reader:
    """Open parquet, Arrow IPC, csv or tsv."""
    _require_addresses(files.text)
    from calibtool.data.files.arrow import ArrowTable
    from calibtool.data.files.partitions import keys_of

    keys = keys_of(files)
    packed = [bool(uncompressed(path)[1]) for path in files.paths]
    text = kind in ("csv", "tsv")
    if any(packed) and not text:
        raise InputError(
            f"{files.text}: {kind} is compressed inside; decompress the file around it first"
        )
    return ArrowTable(
        files.text,
        _opened(files, choice, kind, keys, packed),
        choice.filter,
        keys=keys.schema,
        skip_bad=choice.skip_bad_files,
        mapped=kind == "ipc" and files.filesystem is None,
        alike=text,
    )


def _opened(
    files: FileSet, choice: Choice, kind: str, keys: Keys, packed: Sequence[bool]
) -> list[TableFile]:
    """Return the files, none of which is opened yet; `packed` says which are compressed."""
    if kind == "parquet":
        from calibtool.data.files.parquet_file import parquet_files

        return [*parquet_files(files, keys, filtered=choice.filter is not None)]
    from calibtool.data.files.arrow_file import files_of
    from calibtool.data.files.text_file import CompressedText

    text = kind in ("csv", "tsv")
    texts = (choice.id,) if choice.id and text else ()  # 007 is another id than 7
    delimiter = "\t" if kind == "tsv" else ","
    return [
        CompressedText(
            Stream(files.show(path), path, files.filesystem),
            file.number,
            keys.schema,
            file.keys,
            delimiter,
            texts,
        )
        if compressed
        else file
        for file, path, compressed in zip(
            files_of(files, kind, keys, texts), files.paths, packed, strict=True
        )
    ]


def _require_addresses(shown: str) -> None:
    """Check that this process may have the memory that pyarrow's threads need: one that cannot
    start leaves the others waiting for ever. Raises InputError."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESSES:
        raise InputError(
            f"{shown}: `ulimit -v` allows {limit >> 10:,} kB of memory, too little for pyarrow, "
            f"which reads it; allow at least {_LEAST_ADDRESSES >> 10:,}"
        )


def open_lines(files: FileSet, choice: Choice) -> Reader:
    """Open JSON lines."""
    from calibtool.data.files.arrow import ArrowTable
    from calibtool.data.files.json_lines import JsonLines
    from calibtool.data.files.partitions import keys_of
    from calibtool.data.logs.typed import typed_paths

    keys = keys_of(files)
    wanted = typed_paths(choice)
    opened = [
        JsonLines(
            Stream(files.show(path), path, files.filesystem),
            number,
            keys.schema,
            keys.values.get(path, {}),
            wanted,
            choice.skip_bad_rows,
        )
        for number, path in enumerate(files.paths)
    ]
    return ArrowTable(
        files.text,
        opened,
        choice.filter,
        keys=keys.schema,
        skip_bad=choice.skip_bad_files,
        alike=True,
    )


FORMATS: tuple[Format, ...] = (
    Format("npz", "arrays of numpy", (".npz", ".npy"), _arrays("npz.read_by_suffix")),
    *(
        Format(
            kind,
            title,
            tuple(s for s, k in ARROW_FORMATS.items() if k == kind),
            partial(open_arrow, kind=kind),
            conditions=True,
            several=True,
        )
        for kind, title in (
            ("parquet", "parquet"),
            ("ipc", "Arrow IPC (Feather)"),
            ("csv", "comma-separated text"),
            ("tsv", "tab-separated text"),
        )
    ),
    Format(
        "safetensors",
        "safetensors",
        (".safetensors",),
        _arrays("safetensors.open_safetensors"),
    ),
    Format(
        "torch",
        "tensors of torch",
        (".pt", ".pth"),
        _arrays("torch_file.open_torch"),
    ),
    Format("hdf5", "HDF5", (".h5", ".hdf5"), _arrays("hdf5.open_hdf5")),
    Format(
        "json-lines", "JSON lines", (*LINES, ".json"), open_lines, conditions=True, several=True
    ),
)


def open_files(files: FileSet, choice: Choice) -> Reader:
    """Open files with the reader that is named, or that knows them by suffix and content.

    Raises InputError if none does, UsageError for a reader that does not exist.
    """
    suffix = files.suffix(files.paths[0])
    for other in files.paths:
        if files.suffix(other) != suffix:
            raise InputError(
                f"{files.text}: holds both {suffix} and {files.suffix(other)} files; name one kind"
            )
    # arrays are no log, and need nothing that reads logs
    arrays = suffix in FORMATS[0].suffixes and not choice.reader
    opened = [] if arrays else _log_files(files, skip_bad=choice.skip_bad_rows)
    if choice.reader:
        found: Format | LogFormat | None = _named(choice.reader)
    else:
        if suffix in PICKLES:
            path = Path(files.paths[0])
            how = CONVERT.format(name=path.name, mode="rb", npz=path.with_suffix(".npz").name)
            raise InputError(f"{files.text}: {how}")
        log = _log_of(files, opened) if opened else None
        found = log or next((f for f in FORMATS if suffix in f.suffixes), None)
    if found is None:
        known = ", ".join(SUFFIXES)
        raise InputError(
            f"{files.text}: unknown suffix {suffix!r}; expected one of {known}, or name the format "
            "with --reader"
        )
    if isinstance(found, Format):
        _require_possible(found, files, choice)
        table = found.open(files, choice)
    else:
        table = _open_log(found, files, opened, choice)
    table.format = found.title
    return table


def _require_possible(format_: Format, files: FileSet, choice: Choice) -> None:
    """Check that a format can do what is asked. Raises InputError, UsageError."""
    suffix = format_.suffixes[0]
    if choice.filter is not None and not format_.conditions:
        raise UsageError(
            f"--filter: {files.text}: conditions work on tables and logs, not on {suffix}; index "
            "the arrays before they are saved"
        )
    if format_.several:
        return
    if len(files.paths) > 1:
        raise InputError(
            f"{files.text}: {len(files.paths)} {suffix} files; only tables and logs can be read as "
            "several files"
        )
    if files.filesystem is not None:
        raise InputError(
            f"{files.text}: {suffix} can only be read from this machine, where it is mapped; copy "
            "it here first, or write parquet"
        )
    if any(uncompressed(path)[1] for path in files.paths):
        raise InputError(f"{files.text}: decompress it first; {suffix} is mapped, not streamed")


# ------------------------------------------------------------------ logs


def logs() -> tuple[LogFormat, ...]:
    """Return the formats of logs, those of other packages first."""
    from calibtool.data.logs import table  # many modules, which arrays do not need

    return (*_of_packages(tuple(sys.path)), *table.FORMATS)


@cache  # finding them opens a file of every package that is installed
def _of_packages(path: tuple[str, ...]) -> Sequence[LogFormat]:
    """Return the formats of logs of other packages on `path`, that of Python.

    A package that is installed later is found by the next process.
    """
    from importlib import metadata

    from calibtool.data.logs.log import LogFormat

    found = []
    for entry in metadata.entry_points(group=GROUP):
        try:
            format_ = entry.load()
        except Exception as error:  # of a package that is not ours
            raise CalibtoolError(f"the reader {entry.name!r} cannot be loaded: {error}") from error
        if not isinstance(format_, LogFormat):
            raise CalibtoolError(
                f"the reader {entry.name!r} is {type(format_).__name__}, expected a LogFormat"
            )
        found.append(format_)
    return found


def _named(name: str) -> Format | LogFormat:
    every: dict[str, Format | LogFormat] = {f.name: f for f in FORMATS}
    every |= {f.name: f for f in logs()}
    if name not in every:
        raise UsageError(
            f"--reader {name}: there is no such reader{near(name, every)}; there are "
            f"{', '.join(every)}"
        )
    return every[name]


def _log_of(files: FileSet, opened: Sequence[LogFile]) -> LogFormat | None:
    """Return the format of logs that knows the first file, or None."""
    suffix = opened[0].suffix
    candidates = [format_ for format_ in logs() if suffix in format_.suffixes]
    if not candidates:
        return None
    if files.filesystem is not None and suffix not in LINES:
        return None
    with suppress(UnreadableError):  # the reader of the suffix will report it, or leave it out
        return next((format_ for format_ in candidates if format_.recognise(opened[0])), None)
    return None


def _log_files(files: FileSet, *, skip_bad: bool) -> list[LogFile]:
    from calibtool.data.logs.log import LogFile

    return [
        LogFile(
            files.show(path),
            path,
            files.suffix(path),
            Stream(files.show(path), path, files.filesystem),
            skip_bad,
        )
        for path in files.paths
    ]


def _open_log(
    format_: LogFormat, files: FileSet, opened: Sequence[LogFile], choice: Choice
) -> Reader:
    from calibtool.data.logs import records
    from calibtool.data.logs.as_table import as_table

    log = format_.read(opened, choice)
    bad = tuple(note for file in opened for note in records.left_out(file.shown, file.bad))
    log = replace(log, notes=(*log.notes, *bad))
    path = files.paths[0] if files.filesystem is None else None
    return as_table(log, files.text, choice.filter, path)


SUFFIXES: tuple[str, ...] = tuple(dict.fromkeys([*(s for f in FORMATS for s in f.suffixes), *LOGS]))
