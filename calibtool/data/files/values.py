"""Arrow columns as numpy arrays, and batches of any length as blocks of one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calibtool.errors import InputError
from calibtool.types import Array


def recut(
    arrays: Iterator[dict[str, Array]], names: Sequence[str], size: int, source: str
) -> Iterator[dict[str, Array]]:
    """Yield blocks of `size` rows, the last one shorter, whatever length the pieces have.

    Blocks then do not depend on the row groups of a file, and neither do sums over them.
    Raises InputError if rows differ in their number of values.
    """
    pieces: list[dict[str, Array]] = []
    count = 0
    for piece in arrays:
        pieces.append(piece)
        count += len(piece[names[0]])
        while count >= size:
            block, pieces = _cut(pieces, names, size, source)
            count -= size
            yield block
    if count:
        yield _cut(pieces, names, count, source)[0]


def _cut(
    pieces: list[dict[str, Array]], names: Sequence[str], size: int, source: str
) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    try:
        joined = {
            name: pieces[0][name]
            if len(pieces) == 1
            else np.concatenate([piece[name] for piece in pieces])
            for name in names
        }
    except ValueError as error:
        raise InputError(f"{source}: rows differ in their number of values ({error})") from error
    rest = {name: array[size:] for name, array in joined.items()}
    left = [rest] if any(len(array) for array in rest.values()) else []
    return {name: array[:size] for name, array in joined.items()}, left


def is_list(kind: pa.DataType) -> bool:
    """Return whether a row of this type holds several values."""
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def width(kind: pa.DataType) -> int | None:
    """Return the number of values per row; None if the type does not tell."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    return None if is_list(kind) else 1


def family(kind: pa.DataType) -> str:
    """Return the kind of values of a type: "numbers", "text", "lists of ...", or the type itself.

    Files of one table may differ in the width of a type, but not in this.
    """
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        return family(kind.value_type)
    if is_list(kind):
        return f"lists of {family(kind.value_type)}"
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        return "numbers"
    if pa.types.is_floating(kind):
        return "numbers"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return "text"
    return str(kind)


def to_numpy(column: pa.Array, where: str, numbers: Array | int, width: int = 1) -> Array:
    """Return a column as an array, (n,) or (n, width).

    Args:
        column: the column.
        where: what messages call it.
        numbers: the number of each row, or that of the first row.
        width: values of `column` per row; more than 1 for the flattened values of a list.

    Raises InputError for nulls and for rows with different numbers of values.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if column.null_count:
        null = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
        row = _row_number(numbers, int(null[0]) // width)
        raise InputError(f"{where}: row {row} (counting from 0) is null; drop or fill such rows")
    kind = column.type
    if is_list(kind):
        return _nested(column, where, numbers)
    if pa.types.is_dictionary(kind):
        return _decoded(column, where, numbers)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.asarray(column.to_pylist(), dtype=str)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _row_number(numbers: Array | int, index: int) -> int:
    return numbers + index if isinstance(numbers, int) else int(numbers[index])


def _decoded(column: pa.DictionaryArray, where: str, numbers: Array | int) -> Array:
    """Return the values of a dictionary column, not its codes: another batch or file may number the
    same names differently."""
    if column.dictionary.null_count:
        return to_numpy(column.dictionary_decode(), where, numbers)
    values = to_numpy(column.dictionary, where, 0)
    return values[np.asarray(column.indices.to_numpy(zero_copy_only=False))]


def _nested(column: pa.Array, where: str, numbers: Array | int) -> Array:
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if lengths.size and (lengths != lengths[0]).any():
        at = int(np.argmax(lengths != lengths[0]))
        row = _row_number(numbers, at)
        raise InputError(
            f"{where}: row {row} (counting from 0) has {lengths[at]} values, others have "
            f"{lengths[0]}"
        )
    width = int(lengths[0]) if lengths.size else 0
    return to_numpy(column.flatten(), where, numbers, max(width, 1)).reshape(len(column), width)
