"""Open a file of predictions with the reader that its suffix names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from calibtool.data.files.cut_points import LABELS, PROBS, CutPointTable
from calibtool.data.files.find import find
from calibtool.data.files.formats import open_dataset, open_files
from calibtool.data.files.hugging_face import is_dataset
from calibtool.data.files.join import Joined, joined, stray
from calibtool.data.files.pairs import completed
from calibtool.data.files.reader import Reader
from calibtool.data.files.roles import Choice, resolve
from calibtool.data.files.several import unfolded
from calibtool.data.files.soft_labels import SoftLabelTable
from calibtool.data.files.source import Source
from calibtool.data.files.store import is_remote, local_path
from calibtool.data.predictions import SOFT, Predictions
from calibtool.data.unit import unit_of
from calibtool.errors import InputError, NoScoresError, UsageError, near
from calibtool.types import Array


def open_table(path: str | Path, choice: Choice | None = None) -> Reader:
    """Open a file, a folder or a glob, here or on a server, as named columns.

    Only headers are read, but of logs, which are read whole. Raises InputError for files that
    cannot be read, UsageError for options that their format does not know.
    """
    choice = choice or Choice()
    text = str(path)
    if choice.reader is None and not is_remote(text) and is_dataset(local_path(text)):
        return open_dataset(local_path(text), choice)
    files = find(text)
    if files.suffix(files.paths[0]) == ".cells":
        raise InputError(
            f"{files.text}: holds cells, no rows, and this needs rows; evaluate, check, report, "
            "merge, monitor, plot reliability, fit-isotonic, fit-histogram, fit-platt, fit-beta, "
            "fit-quadratic and fit-bbq take cells"
        )
    return open_files(files, choice)


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
    return source_of(open_table(path, choice), choice, need_labels=need_labels, extra=extra)


def source_of(
    table: Reader, choice: Choice, *, need_labels: bool = True, extra: Sequence[str] = ()
) -> Source:
    """Return the predictions in a table that is open already, as `open_source` does."""
    _require_pairs(choice)
    table, choice = unfolded(table, completed(table, choice))
    unit = unit_of(table)
    try:
        apart = unit.columns if unit else ()
        roles = resolve(table, choice, need_labels=need_labels, apart=apart)
    except InputError as error:
        if not table.notes:
            raise
        message = f"{error} ({'; '.join([*table.notes, *_accuracy(table)])})"
        if isinstance(error, NoScoresError):
            known = table if "correct" in table.columns else None
            raise NoScoresError(message, known, choice.filter or "") from error
        raise InputError(message) from error
    if choice.drop_missing:
        table.optional = frozenset(roles.columns())
    labels, tied = _from_elsewhere(table, choice)
    text = tied is not None and tied.labels.dtype.kind == "U"
    if text and len(roles.values) > 1 and not roles.class_names:
        roles = replace(roles, class_names=roles.values)
    if choice.ignore and not (roles.labels or tied):
        raise UsageError(
            f"--ignore: {table.source}: there are no labels beside the scores by which to leave "
            "rows out; name them with --labels KEY, or join them with --labels-file FILE and --id"
        )
    for name in () if choice.cut_points else extra:
        if name not in table.columns:
            raise InputError(f"{table.source}: there is no column {name!r}")
    every = [*extra, unit.column] if unit else extra
    if isinstance(table, SoftLabelTable):
        every = [*every, *SOFT]
    source = Source(table, roles, choice, labels, tied, tuple(dict.fromkeys(every)))
    if not choice.cut_points:
        return source
    plain = replace(source, extra=())
    at = Choice(probs=PROBS, labels=LABELS, filter=choice.filter)
    return source_of(CutPointTable(plain), at, need_labels=need_labels, extra=extra)


def _from_elsewhere(table: Reader, choice: Choice) -> tuple[Array | None, Joined | None]:
    """Return the labels of `choice.labels_file`, in the order of the rows or by their id."""
    if not choice.labels_file:
        return None, None
    if choice.id:
        tied = joined(choice, table, open_table)
        table.notes = (*table.notes, *stray(tied, table))
        return None, tied
    side = open_table(choice.labels_file, Choice(max_unpacked=choice.max_unpacked))
    if len(side.columns) != 1:
        raise UsageError(
            f"--labels-file {choice.labels_file}: expected a single array (npy), or --id "
            "COLUMN, by which rows and labels are joined"
        )
    name = next(iter(side.columns))
    return next(side.blocks([name], max(side.rows, 1)), {name: None})[name], None


def _accuracy(table: Reader) -> list[str]:
    """Return a sentence on the accuracy of a log that says which rows are right, and no more."""
    if "correct" not in table.columns:
        return []
    rows = right = 0
    for block in table.blocks(["correct"], max(table.rows, 1)):
        rows, right = rows + len(block["correct"]), right + int(block["correct"].sum())
    return [f"its accuracy is {right / rows:.4f}, {right:,} of {rows:,} rows"] if rows else []


def _require_pairs(choice: Choice) -> None:
    """Raise UsageError for options that need another one, or exclude it."""
    if choice.filter is not None and choice.labels_file and not choice.id:
        raise UsageError(
            "--filter cannot be combined with --labels-file, unless rows are joined by --id"
        )
    if choice.id and not choice.labels_file:
        raise UsageError("--id joins rows to labels of another file; name it with --labels-file")
    if choice.join and not choice.id:
        raise UsageError("--join inner needs --labels-file FILE and --id COLUMN")
    if choice.scale is not None and not 1e-9 <= choice.scale <= 1e9:
        raise UsageError(
            f"--scale must lie between 1e-9 and 1e9, not {choice.scale:g}; 100 for percentages"
        )


def load(path: str | Path, *, extra: Sequence[str] = (), **keys: object) -> Predictions:
    """Read predictions from any file that `calibtool evaluate` reads.

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
    return open_source(path, choice_of("load", keys), extra=extra).load()


def scan(path: str | Path, *, extra: Sequence[str] = (), **keys: object) -> Source:
    """Open the predictions that `load` reads, to be read in blocks when they are needed.

    `evaluate` and `fit` take the source in place of predictions; `source.blocks(rows)` reads them
    in file order, and `source.load()` at once.

    Raises InputError: now for what headers tell, later for what is wrong with a row.
    """
    return open_source(path, choice_of("scan", keys), extra=extra)


def choice_of(caller: str, keys: Mapping[str, object]) -> Choice:
    """Return keywords as a record. Raises UsageError for those that do not exist."""
    known = [field.name for field in fields(Choice)]
    for name in keys:
        if name == "by":
            raise UsageError(f"{caller}: by= is an argument of ct.evaluate")
        if name not in known:
            raise UsageError(f"{caller}: there is no keyword {name!r}{near(name, known)}")
    return Choice(**keys)  # type: ignore[arg-type]
