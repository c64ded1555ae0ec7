"""Arrow columns as numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from calibtool.data.files.reader import RECORDS, Column
from calibtool.errors import InputError, row_name
from calibtool.types import Array

# Most bytes of the texts of one column that are kept at a time. numpy gives every text the room of
# the longest: a single long one, in a damaged or hostile file, would take the memory of all rows.
MOST_TEXT = 1 << 30


class Where(NamedTuple):
    """What messages call a column and its rows.

    Attributes:
        name: of the column, after that of its file.
        numbers: the number of each row, or that of the first.
        place: returns what to call a row by its number.
    """

    name: str
    numbers: Array | int = 0
    place: Callable[[int], str] = row_name

    def row(self, index: int) -> str:
        """Return what to call the row at `index` of the column."""
        one = self.numbers + index if isinstance(self.numbers, int) else int(self.numbers[index])
        return self.place(one)


def column_of(field: pa.Field, rows: int, *, mapped: bool = False) -> Column:
    """Return what readers say of a field of a schema."""
    kind = _plain(field.type)
    return Column(
        field.name,
        str(field.type),
        _width(kind),
        rows,
        nested=_is_list(kind),
        mapped=mapped,
        family=family(kind),
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values, however they are stored."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        else:
            return kind


def _is_list(kind: pa.DataType) -> bool:
    """Return whether a row of this type holds several values."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _width(kind: pa.DataType) -> int | None:
    """Return the number of values per row; None if the type does not tell."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    return None if _is_list(kind) else 1


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def family(kind: pa.DataType) -> str:
    """Return the kind of values of a type: "numbers", "text", RECORDS, "lists of ...", or the type
    itself.

    Files of one table may differ in the width of a type, but not in this.
    """
    kind = _plain(kind)
    if _is_list(kind):
        return f"lists of {family(kind.value_type)}"
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        return "numbers"
    if pa.types.is_floating(kind):
        return "numbers"
    if _is_text(kind):
        return "text"
    if pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_union(kind):
        return RECORDS
    return str(kind)


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Return the entries of a dictionary of labels as names of classes: in its order, but for the
    numbers of classes, which some writers list as the rows have them.

    >>> in_order(["1", "0"]), in_order(["no", "yes"]), in_order(["7", "5"])
    (('0', '1'), ('no', 'yes'), ('7', '5'))
    """
    numbers = [str(k) for k in range(len(names))]
    return tuple(numbers if sorted(names) == sorted(numbers) else names)


def to_numpy(
    column: pa.Array, where: Where, width: int = 1, *, optional: bool = False, keep: bool = False
) -> Array:
    """Return a column as an array, (n,) or (n, width), of lists of lists with further dimensions.

    Args:
        column: the column.
        where: what messages call it and its rows.
        width: values of `column` per row; more than 1 for the flattened values of a list.
        optional: whether nulls become NaN, or "" among texts.
        keep: whether the type is kept where there are nulls, which then become any value.

    Raises InputError for nulls, for rows with different numbers of values, and for texts so long
    that they cannot be kept beside one another.
    """
    if isinstance(column, pa.ExtensionArray):
        return to_numpy(column.storage, where, width, optional=optional, keep=keep)
    if column.null_count and optional:
        return _with_gaps(column, where, width, keep=keep)
    if column.null_count:
        null = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
        raise InputError(
            f"{where.name}: {where.row(int(null[0]) // width)} is null; drop or fill such rows, or "
            "leave out those without a score or a label with --drop-missing"
        )
    kind = column.type
    if _is_list(kind):
        return _nested(column, where, width, optional=optional)
    if pa.types.is_dictionary(kind):
        return _decoded(column, where, width, optional=optional)
    if _is_text(kind):
        import pyarrow.compute as pc  # a fifth of importing pyarrow, which numbers do not need

        longest = pc.max(pc.utf8_length(column)).as_py() or 0
        _require_short(len(column), 4 * longest, where)  # numpy keeps 4 bytes per character
        return np.asarray(column.to_pylist(), dtype=str)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    # as DLPack, since pyarrow's `to_numpy` imports pandas, which takes longer than all of pyarrow
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.from_dlpack(column)
    if pa.types.is_boolean(kind):
        return np.from_dlpack(column.cast(pa.uint8())).astype(bool)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _require_short(rows: int, size: int, where: Where) -> None:
    """Check that `rows` texts fit into memory: each takes as many bytes as the longest, `size`."""
    if rows * size > MOST_TEXT:
        raise InputError(
            f"{where.name}: {rows:,} rows of up to {size // 4:,} characters are too much "
            "text; name a column of shorter texts"
        )


def _with_gaps(column: pa.Array, where: Where, width: int, *, keep: bool) -> Array:
    """Return a column with NaN, or "" among texts, where there is no value; to `keep` its type,
    with a value of another row there."""
    there = to_numpy(column.is_valid(), where)
    held = to_numpy(column.drop_null(), where, width, optional=True)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if keep and len(held):
        return held[np.maximum(np.cumsum(there) - 1, 0)]
    if keep:  # nothing but gaps here; other batches of the column may hold values
        return np.zeros((len(column), *held.shape[1:]), held.dtype)
    number = held.dtype.kind in "fiub"
    kind = np.result_type(held.dtype, np.float64) if number else held.dtype
    full: Array = np.full((len(column), *held.shape[1:]), np.nan if number else "", dtype=kind)
    full[there] = held
    return full


def _decoded(
    column: pa.DictionaryArray,
    where: Where,
    width: int,
    *,
    optional: bool = False,
) -> Array:
    """Return the values of a dictionary column, not its codes: another batch or file may number the
    same names differently."""
    # messages about an entry of the dictionary could not name a row
    if column.dictionary.null_count or _is_list(column.type.value_type):
        return to_numpy(column.dictionary_decode(), where, width, optional=optional)
    values = to_numpy(column.dictionary, Where(where.name))
    if values.dtype.kind == "U":
        _require_short(len(column), values.itemsize, where)
    return values[np.from_dlpack(column.indices)]


def _nested(column: pa.Array, where: Where, outer: int, *, optional: bool = False) -> Array:
    """Return lists as an array with one more dimension; a row has `outer` of them."""
    import pyarrow.compute as pc

    lengths = np.from_dlpack(pc.list_value_length(column))
    if lengths.size and (lengths != lengths[0]).any():
        at = int(np.argmax(lengths != lengths[0]))
        raise InputError(
            f"{where.name}: {where.row(at // outer)} has {lengths[at]} values, others have "
            f"{lengths[0]}"
        )
    width = int(lengths[0]) if lengths.size else 0
    inside = to_numpy(column.flatten(), where, max(outer * width, 1), optional=optional)
    return inside.reshape(len(column), width, *inside.shape[1:])
