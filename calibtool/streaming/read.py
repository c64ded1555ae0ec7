"""The one door for data in Python: files, arrays, tensors and data frames become predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.data.files.omissions import left_out
from calibtool.data.files.open import choice_of, open_source, source_of
from calibtool.data.files.roles import Choice
from calibtool.data.files.several import of_arrays
from calibtool.data.files.unfolding import LABELS, PART, UNLABELLED, Unfolding
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable
from calibtool.data.validation import Origin
from calibtool.errors import InputError, UsageError
from calibtool.types import Array

DASK = ("dask", "dask_expr")
KINDS = ("logits", "probs")
# How far rows of probabilities of half precision may sum from 1; logits sum to anything.
NEAR = 1e-2
EXPECTED = (
    "expected a path or an address, Predictions, a pair (scores, labels) of arrays or tensors, a "
    "mapping of columns, or a data frame (pandas, polars, pyarrow, DuckDB, Dask)"
)


def read(data: Any, *, need_labels: bool = True, **keys: Any) -> Any:
    """Return predictions in any form as calibtool measures them.

    Args:
        data: one of

            - a path or an address of a file that `calibtool evaluate` reads;
            - `Predictions`, a source (`ct.scan`) or a summary (`ct.cells`), returned as they are;
            - a pair (scores, labels) of arrays or tensors (NumPy, torch, JAX, anything with
              `__array__` or `__dlpack__`): scores (N, K), or (N,) of class 1. They are
              probabilities where all lie in [0, 1] and each of the rows (N, K) sums to 1, logits
              otherwise; `kind="logits"` or `kind="probs"` says which. Labels of the shape of the
              scores are those of several labels per row, and scores of three dimensions or more
              those of images or texts (`multilabel`, `layout`, `ignore` as for files);
            - a mapping of columns, or a data frame: pandas, polars (lazy too), pyarrow, DuckDB,
              Dask, or anything with `__arrow_c_stream__`.
        need_labels: whether a file, a mapping or a data frame without labels is an error.
        keys: which column has which role, as for `ct.load`: `score="p", labels="clicked"`.

    Raises InputError for anything else and for what is wrong with a row, UsageError for keys that
    have no meaning for the data.

    >>> read(([[0.9, 0.1], [0.2, 0.8]], [0, 1])).kind
    'probs'
    >>> read({"score": [0.9, 0.2], "label": [1, 0]}).rows
    2
    """
    if isinstance(data, str | Path):
        if str(data).endswith(".cells") and not keys:
            from calibtool.streaming.cells_file import load_cells

            return load_cells(data)
        return open_source(data, choice_of("read", keys), need_labels=need_labels)
    if hasattr(data, "blocks") and hasattr(data, "load"):
        if keys:
            raise UsageError(f"{next(iter(keys))}=: these predictions have their roles already")
        return data
    if type(data).__module__.partition(".")[0] in DASK:
        from calibtool.streaming.engines.dask_frame import from_dask

        return from_dask(data, **keys)
    if isinstance(data, tuple | list) and len(data) == 2:
        return _of_pair(*data, **keys)
    return _of_table(data, choice_of("read", keys), need_labels=need_labels)


def read_named(data: Any, **keys: Any) -> dict[str, Any]:
    """Return predictions by name, each in any form that `read` takes.

    Raises InputError for anything but a mapping.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{type(data).__name__}: expected predictions by name: {{name: data}}")
    return {str(name): read(one, **keys) for name, one in data.items()}


def are_named(data: Any) -> bool:
    """Return whether data are several sets of predictions by name, rather than columns by name.

    >>> are_named({"a": "a.npz", "b": ([0.9, 0.2], [1, 0])}), are_named({"score": [0.9, 0.2]})
    (True, False)
    """
    return isinstance(data, Mapping) and not any(_is_column(one) for one in data.values())


def _is_column(data: Any) -> bool:
    """Return whether a value of a mapping is one column: a list, an array, a tensor, a series."""
    if isinstance(data, str | Path | tuple | Mapping) or hasattr(data, "blocks"):
        return False
    return not any(hasattr(data, name) for name in ("columns", "column_names")) and (
        isinstance(data, list) or hasattr(data, "__len__")
    )


def keys_in(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the keys of `ct.read` from options of something else, and return them."""
    known = [field.name for field in fields(Choice)] + ["kind"]
    return {name: options.pop(name) for name in known if name in options}


def _of_pair(scores: Any, labels: Any, *, kind: str | None = None, **keys: Any) -> Predictions:
    values, targets = as_array(scores, "scores"), as_array(labels, "labels")
    if kind not in (None, *KINDS):
        raise UsageError(f"kind={kind!r}: expected one of {', '.join(KINDS)}")
    unit = _in_unit(values)
    own = {name: keys.pop(name) for name in ("multilabel", "layout", "ignore") if name in keys}
    names = tuple(keys.get("class_names") or ())
    role = kind or ("probs" if unit else "logits")
    how = of_arrays(role, values, targets, Choice(classes=names, **own))
    if how is not None:
        return _unfolded(how, values, targets, keys)
    kind = kind or ("probs" if unit and _sum_to_one(values) else "logits")
    make = Predictions.from_logits if kind == "logits" else Predictions.from_probs
    try:
        return make(values, targets, **keys)
    except TypeError as error:
        raise UsageError(f"read: {error}") from error


def _unfolded(
    how: Unfolding, values: Array, targets: Array, keys: Mapping[str, Any]
) -> Predictions:
    """Return the predictions of arrays whose rows hold several each."""
    if len(values) != len(targets):
        raise InputError(f"labels: {len(targets):,} labels for {len(values):,} rows of scores")
    columns = {how.role: values, LABELS: targets}
    labels = how.targets(columns, Origin(source="labels"))
    there = labels != UNLABELLED
    place = np.repeat(np.arange(len(values)), how.per)
    extra = {how.unit.column: place[there]}
    if how.names:
        extra[PART] = np.tile(np.array(how.names), len(values))[there]
        keys = {name: value for name, value in keys.items() if name != "class_names"}
    if keys.get("weights") is not None:
        keys = {**keys, "weights": np.repeat(as_array(keys["weights"], "weights"), how.per)[there]}
    make = Predictions.from_logits if how.role == "logits" else Predictions.from_probs
    try:
        made = make(how.scores(columns)[there], labels[there], **keys)
    except TypeError as error:
        raise UsageError(f"read: {error}") from error
    missing = int((~there).sum())
    notes = (left_out({how.unit.unlabelled: missing}),) if missing else ()
    return replace(made, extra=extra, unit=how.unit, notes=notes)


def _in_unit(values: Array) -> bool:
    if values.dtype.kind not in "fiub" or not values.size:
        return False
    return bool(values.min() >= 0 and values.max() <= 1)


def _sum_to_one(values: Array) -> bool:
    sums = values.sum(axis=1) if values.ndim == 2 and values.shape[1] > 1 else np.ones(1)
    return bool(np.abs(sums - 1).max() <= NEAR)


def as_array(data: Any, what: str) -> Array:
    """Return an array or a tensor, of whatever library, as numpy's; on the CPU, without gradient.

    Raises InputError for anything else.
    """
    if isinstance(data, np.ndarray):
        return data
    package = type(data).__module__.partition(".")[0]
    try:
        if package == "torch":
            plain = data.detach().cpu()
            # numpy has no brain floats
            return np.asarray((plain.float() if "bfloat16" in str(plain.dtype) else plain).numpy())
        if hasattr(data, "__array__") or isinstance(data, list | tuple):
            return np.asarray(data)
        if hasattr(data, "__dlpack__"):
            return np.from_dlpack(data)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise InputError(f"{what}: cannot be read as an array: {error}") from error
    raise InputError(f"{what}: {type(data).__name__} is no array or tensor")


def _of_table(data: Any, choice: Choice, *, need_labels: bool) -> Readable:
    import pyarrow as pa

    from calibtool.data.files.arrow import ArrowTable
    from calibtool.data.files.table_file import Memory
    from calibtool.data.logs.as_table import column_of

    package = type(data).__module__.partition(".")[0]
    name = f"{package} data frame" if package != "builtins" else "data"
    if choice.filter and not hasattr(data, "__arrow_c_stream__"):
        raise UsageError("filter= works on files and data frames; index the arrays first")
    try:
        if isinstance(data, Mapping):
            columns = {str(k): column_of(_listed(v, str(k))) for k, v in data.items()}
            table = pa.table(columns)
        elif hasattr(data, "collect") and package == "polars":
            table = pa.table(data.collect())
        elif hasattr(data, "__arrow_c_stream__"):
            table = pa.table(data)
        elif package == "pandas":
            table = pa.Table.from_pandas(data, preserve_index=False)
        else:
            raise InputError(f"{type(data).__name__}: {EXPECTED}")
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"{name}: cannot be read as columns: {error}") from error
    table = ArrowTable(name, [Memory(name, table)], choice.filter)
    return source_of(table, choice, need_labels=need_labels)


def _listed(values: Any, name: str) -> Any:
    return values if isinstance(values, list) else as_array(values, name)
