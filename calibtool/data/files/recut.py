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
