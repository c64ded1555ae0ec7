"""Pieces of any length as blocks of one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

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
    for whole in arrays:
        piece = whole
        while count + len(piece[names[0]]) >= size:
            room = size - count
            pieces.append({name: array[:room] for name, array in piece.items()})
            yield _joined(pieces, names, source)
            piece, count = {name: array[room:] for name, array in piece.items()}, 0
        if rows := len(piece[names[0]]):
            pieces.append(piece)
            count += rows
    if pieces:
        yield _joined(pieces, names, source)


def _joined(pieces: list[dict[str, Array]], names: Sequence[str], source: str) -> dict[str, Array]:
    """Return the rows of all pieces, of a single one without a copy, and empty the list: nobody
    needs the pieces beside the block."""
    if len(pieces) == 1:
        piece = pieces.pop()
        return {name: piece[name] for name in names}
    columns = {name: _as_wide([piece[name] for piece in pieces]) for name in names}
    pieces.clear()
    try:
        return {name: _concatenated(columns.pop(name)) for name in names}
    except ValueError as error:
        raise InputError(f"{source}: rows differ in their number of values ({error})") from error


def _concatenated(arrays: list[Array]) -> Array:
    """Return what np.concatenate does, and drop each array when it is copied: what it was decoded
    in is given back before all of the result is in use."""
    like = np.concatenate([array[:0] for array in arrays])
    joined = np.empty((sum(map(len, arrays)), *like.shape[1:]), like.dtype)
    end = len(joined)
    while arrays:
        array = arrays.pop()
        joined[end - len(array) : end] = array
        end -= len(array)
    return joined


def _as_wide(arrays: list[Array]) -> list[Array]:
    """Return arrays of lists in which a piece whose rows are all missing, so that nothing tells how
    many values they have, has as many as the others: NaN, or "" among texts."""
    most = max(array.shape[1:] for array in arrays)
    if 0 in most:
        return arrays
    return [
        np.full((len(array), *most), np.nan if array.dtype.kind == "f" else "", array.dtype)
        if array.shape[1:2] == (0,) and array.dtype.kind in "fU"
        else array
        for array in arrays
    ]
