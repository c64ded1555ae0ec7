"""Open a file of predictions with the reader that its suffix names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calibtool.data.files import npz
from calibtool.data.files.find import ARROW_FORMATS, find
from calibtool.data.files.reader import Reader
from calibtool.data.files.roles import Choice, resolve
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.errors import InputError, UsageError

SUFFIXES = (".npz", ".npy", *ARROW_FORMATS)
# suffixes of files that are pickles, or mostly are
PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".joblib", ".bin"}


def open_table(
    path: str | Path,
    condition: str | None = None,
    *,
    skip_bad_files: bool = False,
    max_unpacked: float | None = None,
) -> Reader:
    """Open a file, a folder or a glob, here or on a server, as named columns.

    Only headers are read. `condition` selects rows, in the grammar of
    `calibtool.data.files.filter`. Compressed arrays may unpack to `max_unpacked` GB. Raises
    InputError for files that cannot be read, UsageError for a condition on a format that knows
    none.
    """
    files = find(str(path))
    suffix = files.suffix(files.paths[0])
    if suffix == ".cells":
        raise InputError(
            f"{files.text}: holds cells, no rows, and this needs rows; evaluate, check, report, "
            "merge, monitor, plot reliability, fit-isotonic, fit-histogram, fit-platt, fit-beta "
            "and fit-bbq take cells"
        )
    if suffix in PICKLES:
        raise InputError(
            f"{files.text}: pickles can run code and are never read; save arrays with np.savez"
        )
    if suffix not in SUFFIXES:
        raise InputError(
            f"{files.text}: unknown suffix {suffix!r}; expected one of {', '.join(SUFFIXES)}"
        )
    for other in files.paths:
        if files.suffix(other) != suffix:
            raise InputError(
                f"{files.text}: holds both {suffix} and {files.suffix(other)} files; name one kind"
            )
    if suffix in ARROW_FORMATS:
        from calibtool.data.files.arrow import ArrowTable

        return ArrowTable(files, ARROW_FORMATS[suffix], condition, skip_bad=skip_bad_files)
    if condition is not None:
        raise UsageError(
            f"--filter: {files.text}: conditions work on parquet, Arrow and csv, not on {suffix}; "
            "index the arrays before they are saved"
        )
    if len(files.paths) > 1:
        raise InputError(
            f"{files.text}: {len(files.paths)} {suffix} files; only parquet, Arrow and csv can be "
            "read as several files"
        )
    if files.filesystem is not None:
        raise InputError(
            f"{files.text}: {suffix} can only be read from this machine, where it is mapped; copy "
            "it here first, or write parquet"
        )
    return npz.read_by_suffix(Path(files.paths[0]), max_unpacked)


def open_source(
    path: str | Path,
    choice: Choice | None = None,
    *,
    need_labels: bool = True,
    extra: Sequence[str] = (),
) -> Source:
    """Open the predictions in a file, to be read in blocks.

    Args:
        path: a file, folder, glob or address.
        choice: which column has which role, where names do not tell.
        need_labels: whether missing labels are an error.
        extra: further columns to carry along.

    Raises InputError, UsageError.
    """
    choice = choice or Choice()
    table = open_table(
        path,
        choice.filter,
        skip_bad_files=choice.skip_bad_files,
        max_unpacked=choice.max_unpacked,
    )
    if choice.filter is not None and choice.labels_file:
        raise UsageError(
            "--filter cannot be combined with --labels-file: make the labels a column of the file"
        )
    roles = resolve(table, choice, need_labels=need_labels)
    labels = None
    if choice.labels_file:
        side = open_table(choice.labels_file, max_unpacked=choice.max_unpacked)
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
        path: a file; for Arrow's formats also a folder or a glob, or an address (s3://...).
        extra: further columns to carry along.
        keys: which column has which role, if names do not tell: `logits`, `probs`, `score`,
            `labels`, `labels_file`, `confidence`, `correct`, `predictions`, `weights`, `classes`;
            `renormalize=True` for probabilities that do not sum to 1; `filter` for a condition on
            the rows ("day = '2026-11-01' and score > 0.2"); `skip_bad_files=True` to leave out
            files that cannot be read; `max_unpacked` for the GB to which compressed arrays of an
            npz file may unpack.

    Raises InputError for anything that is wrong with the file.
    """
    return open_source(path, _choice("load", keys), extra=extra).load()


def scan(path: str | Path, *, extra: Sequence[str] = (), **keys: object) -> Source:
    """Open the predictions that `load` reads, to be read in blocks when they are needed.

    `evaluate` and `fit` take the source in place of predictions; `source.blocks(rows)` reads them
    in file order, and `source.load()` at once.

    Raises InputError: now for what headers tell, later for what is wrong with a row.
    """
    return open_source(path, _choice("scan", keys), extra=extra)


def _choice(caller: str, keys: dict[str, object]) -> Choice:
    try:
        return Choice(**keys)  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(f"{caller}: {error}") from error
