"""The rows of a log as a table, whose columns are found and read like those of any other file."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pyarrow as pa

from calibtool.data.files.arrow import ArrowTable
from calibtool.data.files.omissions import left_out
from calibtool.data.files.table_file import Memory
from calibtool.data.logs.log import Log
from calibtool.errors import InputError
from calibtool.types import Array

LOG = logging.getLogger("calibtool")  # written to standard error unless it is configured


def as_table(log: Log, source: str, condition: str | None, file: str | None) -> ArrowTable:
    """Return the table of a log.

    Args:
        log: its rows.
        source: what to call it in messages.
        condition: which rows to read, in the grammar of `calibtool.data.files.filter`.
        file: the path of its first file, or None.

    Raises InputError for a log without rows.
    """
    columns = {name: column_of(values) for name, values in log.columns.items()}
    # labels that are nowhere may come from another file
    columns = {name: column for name, column in columns.items() if not _nowhere(name, column)}
    notes = [*log.notes]
    if log.left_out:
        notes.append(left_out(log.left_out))
        LOG.warning("%s: %s", source, notes[-1])
    if not columns or not len(next(iter(columns.values()))):
        said = "".join(f" ({note})" for note in notes)
        raise InputError(f"{source}: there are no rows{said}; nothing can be measured")
    return ArrowTable(
        source,
        [Memory(source, pa.table(columns), file)],
        condition,
        class_names={"labels": log.classes} if log.classes else None,
        notes=notes,
    )


def column_of(values: Any) -> pa.Array:
    """Return values as a column: arrays (n, K) as lists, and values of several kinds as text, as
    JSON writes it.

    >>> column_of([1, "a", None]).to_pylist(), column_of([0.5, None]).to_pylist()
    (['1', 'a', None], [0.5, None])
    """
    if isinstance(values, np.ndarray):
        return _of_array(values)
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        whole = [t if t is None else t.encode("utf-8", "replace").decode() for t in texts]
        return pa.array(whole, pa.string())


def _of_array(values: Array) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _nowhere(name: str, column: Any) -> bool:
    return name in ("labels", "correct") and len(column) > 0 and column.null_count == len(column)
