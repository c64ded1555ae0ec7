"""A table of arrays by name: what npz, npy, safetensors, torch and HDF5 files hold."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from calibtool.data.files.archive import require_room
from calibtool.data.files.reader import Column, Part, Skipped
from calibtool.errors import InputError, row_name
from calibtool.types import Array

DIMENSIONS = 32  # numpy 1 has no arrays of more
ADDRESSES = 1 << 48  # no machine addresses more bytes

# Rows and bytes of a part. Workers take one part at a time: smaller parts cost more calls, larger
# ones leave workers idle at the end.
PART_ROWS = 1 << 20
PART_BYTES = 1 << 28


class Rows(Protocol):
    """The values of an array; slices of its rows are numpy arrays."""

    def __getitem__(self, rows: slice, /) -> Array: ...


@dataclass(frozen=True)
class StoredArray:
    """An array of a file, whose values are not read yet.

    Attributes:
        shape, dtype: those of the values that are read.
        read: returns the values.
        unpacked: bytes to which compressed values unpack, of which the file's size says nothing.
        mapped: whether the values stay in the file.
        stored: what the file calls its type, if numpy has no such type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    read: Callable[[], Rows]
    unpacked: int = 0
    mapped: bool = False
    stored: str = ""

    @property
    def rows(self) -> int | None:
        """Its length; None for a single value."""
        return self.shape[0] if self.shape else None

    @property
    def width(self) -> int:
        """The values in a row."""
        return math.prod(self.shape[1:])

    @property
    def family(self) -> str:
        """What `Column.family` says of it."""
        named = {"numbers": "fiub", "text": "US"}
        kind = self.dtype.kind
        inner = next((name for name, kinds in named.items() if kind in kinds), str(self.dtype))
        return "lists of " * max(len(self.shape) - 1, 0) + inner


@dataclass(frozen=True)
class Converted:
    """Values that are converted when they are read, a slice at a time.

    Attributes:
        values: as they are stored.
        convert: makes a slice of them what is read.
    """

    values: Array
    convert: Callable[[Array], Array]

    def __getitem__(self, rows: slice, /) -> Array:
        return self.convert(self.values[rows])


class ArrayTable:
    """Arrays by key; those with as many rows as the longest are columns.

    Opening reads headers alone. Stored arrays are mapped, compressed ones are unpacked when their
    rows are read.
    """

    def __init__(
        self,
        path: Path,
        arrays: Mapping[str, StoredArray],
        reopen: Callable[[Path, float | None], ArrayTable],
        max_unpacked: float | None = None,
    ) -> None:
        self.source = str(path)
        self._stored = arrays
        self._reopen = reopen
        self._max_unpacked = max_unpacked
        self._arrays: dict[str, Rows] = {}
        self._lock = threading.Lock()
        self.skipped: list[Skipped] = []
        self.format = "arrays"
        self.notes: tuple[str, ...] = ()
        self.optional: frozenset[str] = frozenset()
        self.marks_unlabelled = False

    def __reduce__(self) -> tuple[Callable[..., ArrayTable], tuple[Path, float | None]]:
        """Pickle the path alone: another process maps the file again."""
        return self._reopen, (Path(self.source).resolve(), self._max_unpacked)

    @property
    def rows(self) -> int:
        return max((array.rows or 0 for array in self._stored.values()), default=0)

    @property
    def columns(self) -> Mapping[str, Column]:
        return {
            name: Column(
                name,
                f"{array.stored or array.dtype} "
                f"{' x '.join(f'{n:,}' for n in array.shape) or 'scalar'}",
                array.width,
                1 if array.rows is None else array.rows,
                nested=len(array.shape) > 1,
                mapped=array.mapped,
                family=array.family,
                shape=array.shape,
            )
            for name, array in self._stored.items()
        }

    def names_of(self, column: str) -> tuple[str, ...] | None:
        return None

    def strings(self, column: str) -> tuple[str, ...]:
        if self._stored[column].rows is None:
            raise self._single(column)
        return tuple(str(value) for value in self._read([column])[0][:].ravel().tolist())

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        rows = self._length(names)
        yield from self._slices(names, 0, rows, size)

    def count(self, names: Sequence[str]) -> int:
        return self._length(names)

    def path_of(self, part: Part) -> str | None:
        return str(Path(self.source).absolute())

    def stamps(self) -> list[tuple[str, int | None, str]]:
        stat = Path(self.source).stat()
        return [(self.source, stat.st_size, str(stat.st_mtime_ns))]

    def locate(self, row: int) -> str:
        return row_name(row)

    def place(self, part: Part, row: int) -> str:
        return self.locate(row)

    def first(self, name: str) -> Array | None:
        return self._read([name])[0][:1] if self._stored[name].rows else None

    def parts(self, names: Sequence[str] = ()) -> list[Part]:
        """Return slices of the arrays."""
        total = self._length(names) if names else self.rows
        columns = [array for array in self._stored.values() if array.rows == total]
        widest = max((array.width * array.dtype.itemsize for array in columns), default=1)
        rows = max(min(PART_ROWS, PART_BYTES // max(widest, 1)), 1)
        starts = range(0, total, rows)
        return [Part(self.source, 0, at, min(rows, total - at), start=at) for at in starts]

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        self._length(names)
        yield from self._slices(names, part.first_row, part.first_row + part.rows, size)

    def _slices(
        self, names: Sequence[str], first: int, last: int, size: int
    ) -> Iterator[dict[str, Array]]:
        arrays = self._read(names)
        for start in range(first, last, size):
            rows = slice(start, min(start + size, last))
            yield {name: array[rows] for name, array in zip(names, arrays, strict=True)}

    def _length(self, names: Sequence[str]) -> int:
        """Return the number of rows of these columns, by their headers.

        Raises InputError if it differs between them.
        """
        lengths: dict[str, int] = {}
        for name in names:
            rows = self._stored[name].rows
            if rows is None:
                raise self._single(name)
            lengths[name] = rows
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {rows:,}" for name, rows in lengths.items())
            raise InputError(f"{self.source}: arrays differ in length: {listed}")
        return max(lengths.values(), default=0)

    def _single(self, name: str) -> InputError:
        return InputError(f"{self.source}: {name}: a single value, expected one per row")

    def _read(self, names: Sequence[str]) -> list[Rows]:
        """Return arrays whole: mapped, or unpacked when they are first asked for."""
        with self._lock:  # parts may be read by several threads at once
            self._require_memory(names)
            for name in names:
                if name not in self._arrays:
                    self._arrays[name] = self._stored[name].read()
            return [self._arrays[name] for name in names]

    def _require_memory(self, names: Sequence[str]) -> None:
        """Check that what these arrays and those read before unpack to is within the limit."""
        wanted = {name for name in (*self._arrays, *names) if self._stored[name].unpacked}
        total = sum(self._stored[name].unpacked for name in wanted)
        where = f"{self.source}: {', '.join(sorted(wanted))}"
        require_room(where, total, Path(self.source).stat().st_size, self._max_unpacked)


def require_possible(shape: Sequence[int], itemsize: int, where: str) -> None:
    """Check that numpy can have an array of this shape. Raises InputError."""
    # Python's integers do not overflow, as numpy's would with a hostile header
    extent = math.prod(n for n in shape if n)  # numpy refuses it even of an array without values
    if (
        any(n < 0 for n in shape)
        or len(shape) > DIMENSIONS
        or extent * max(itemsize, 1) >= ADDRESSES
    ):
        raise InputError(
            f"{where}: the header's shape {tuple(shape)} is impossible; the file may be damaged"
        )


def map_array(
    path: str,
    name: str,
    dtype: np.dtype[Any],
    offset: int,
    shape: tuple[int, ...],
    order: Literal["F", "C"] = "C",
) -> Array:
    """Return an array whose values stay in a file.

    Raises InputError.
    """
    if not math.prod(shape):
        return np.zeros(shape, dtype)
    try:
        return np.memmap(path, dtype, "r", offset, shape, order)
    except (OSError, ValueError) as error:  # it was cut or deleted after it was opened
        raise InputError(f"{path}: {name}: cannot be mapped ({error}); was it changed?") from error
