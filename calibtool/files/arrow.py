"""Parquet, Arrow IPC (Feather) and csv, one file, a folder or a glob, through pyarrow.dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyarrow import csv, fs, parquet

from calibtool.checks import Array
from calibtool.errors import InputError
from calibtool.files.table import Column, Part

CSV_BLOCK = 1 << 30  # bytes
BUFFER = 1 << 16  # bytes read ahead of a column
PART_ROWS = 1 << 20  # row groups are read together up to so many rows
PART_BYTES = 1 << 28  # and bytes


class ArrowTable:
    """Files of one format as one table, in the order of their names."""

    def __init__(self, source: str, paths: Sequence[Path], kind: str) -> None:
        self.source = source
        format_: Any = kind
        if kind in ("csv", "tsv"):
            # types are settled by the first block: make it the file, so that a column of whole
            # numbers may turn to fractions further down
            largest = max(path.stat().st_size for path in paths)
            format_ = pads.CsvFileFormat(
                parse_options=csv.ParseOptions(delimiter="\t" if kind == "tsv" else ","),
                read_options=csv.ReadOptions(block_size=min(largest + 1, CSV_BLOCK)),
            )
        if kind == "parquet":
            _require_distinct(source, paths[0])
        with _Errors(source):
            self._dataset = pads.dataset(
                [str(path) for path in paths],
                format=format_,
                filesystem=fs.LocalFileSystem(use_mmap=kind == "ipc"),
                partitioning=None if len(paths) == 1 else "hive",
                partition_base_dir=source if Path(source).is_dir() else None,
            )
        self._mapped = kind == "ipc"

    @cached_property
    def rows(self) -> int:
        with _Errors(self.source):
            return int(self._dataset.count_rows())

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        with _Errors(self.source):
            return {
                field.name: Column(
                    field.name,
                    str(field.type),
                    _width(field.type),
                    self.rows,
                    nested=_is_list(field.type),
                    mapped=self._mapped,
                )
                for field in self._dataset.schema
            }

    def names_of(self, column: str) -> tuple[str, ...] | None:
        """The dictionary of a dictionary column: class names in the order of their codes."""
        if not pa.types.is_dictionary(self._dataset.schema.field(column).type):
            return None
        with _Errors(self.source):
            for batch in self._dataset.to_batches(columns=[column]):
                if batch.num_rows:
                    names = batch.column(0).dictionary.to_pylist()
                    return tuple(names) if names and isinstance(names[0], str) else None
        return None

    def strings(self, column: str) -> tuple[str, ...]:
        table = self._dataset.to_table(columns=[column])
        return tuple(str(value) for value in table.column(0).to_pylist())

    def blocks(self, names: Sequence[str], size: int) -> Iterator[dict[str, Array]]:
        """Blocks are cut by row number alone, whatever the files' own row groups are."""
        with _Errors(self.source):
            batches = self._dataset.to_batches(columns=list(names), batch_size=size)
            yield from _recut(batches, names, size, self.source, 0)

    def parts(self) -> list[Part]:
        """Row groups of parquet, neighbours together where they are small; else whole files."""
        found: list[Part] = []
        start = 0
        for number, fragment in enumerate(self._dataset.get_fragments()):
            with _Errors(fragment.path):
                for what, first, rows in _pieces(fragment):
                    found.append(Part(fragment.path, number, first, rows, what, start + first))
                start += fragment.count_rows()
        return found

    def part_blocks(
        self, part: Part, names: Sequence[str], size: int
    ) -> Iterator[dict[str, Array]]:
        with _Errors(part.file):
            batches = self._batches(part, names, size)
            yield from _recut(batches, names, size, part.file, part.first_row)

    def _batches(self, part: Part, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        """Parquet by its own reader: a scan of a dataset decodes a row group whole."""
        fragment = part.what
        if not isinstance(fragment, pads.ParquetFileFragment):
            yield from fragment.to_batches(
                schema=self._dataset.schema,
                columns=list(names),
                batch_size=size,
                use_threads=False,
            )
            return
        keys = pads.get_partition_keys(fragment.partition_expression)
        with self._dataset.filesystem.open_input_file(fragment.path) as stream:
            file = parquet.ParquetFile(
                stream, metadata=fragment.metadata, pre_buffer=False, buffer_size=BUFFER
            )
            wanted = [name for name in names if name not in keys]
            for batch in file.iter_batches(
                size, [group.id for group in fragment.row_groups], wanted, use_threads=False
            ):
                whole = batch
                for name in names:
                    if name in keys:
                        value = pa.scalar(keys[name], self._dataset.schema.field(name).type)
                        whole = whole.append_column(name, pa.repeat(value, len(batch)))
                yield whole


def _pieces(fragment: pads.Fragment) -> Iterator[tuple[pads.Fragment, int, int]]:
    """A fragment's parts: what to read, its first row in the file, its rows."""
    if not isinstance(fragment, pads.ParquetFileFragment):
        yield fragment, 0, fragment.count_rows()
        return
    held: list[int] = []
    first = rows = bytes_ = 0
    for group in fragment.row_groups:
        full = rows + group.num_rows > PART_ROWS or bytes_ + group.total_byte_size > PART_BYTES
        if held and full:
            yield fragment.subset(row_group_ids=held), first, rows
            held, first, rows, bytes_ = [], first + rows, 0, 0
        held.append(group.id)
        rows, bytes_ = rows + group.num_rows, bytes_ + group.total_byte_size
    if held:
        yield fragment.subset(row_group_ids=held), first, rows


def _recut(
    batches: Iterator[pa.RecordBatch], names: Sequence[str], size: int, source: str, row: int
) -> Iterator[dict[str, Array]]:
    """Batches as arrays of `size` rows, the last ones shorter; `row` is the first row's number."""
    held: list[dict[str, Array]] = []
    count = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(
            {name: to_numpy(batch.column(name), f"{source}: {name}", row) for name in names}
        )
        row += batch.num_rows
        count += batch.num_rows
        while count >= size:
            block, held = _cut(held, names, size, source)
            count -= size
            yield block
    if count:
        yield _cut(held, names, count, source)[0]


def _require_distinct(source: str, path: Path) -> None:
    """Whether every column has a name of its own."""
    with _Errors(source):
        names = parquet.read_schema(path).names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{source}: two columns are called {twice[0]!r}; rename one of them")


class _Errors:
    """Arrow's own errors as ours."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (pa.ArrowException, OSError, UnicodeDecodeError)):
            first = str(error).split("\n", 1)[0].strip()
            raise InputError(f"{self.source}: cannot be read: {first}") from error


def _cut(
    held: list[dict[str, Array]], names: Sequence[str], size: int, source: str
) -> tuple[dict[str, Array], list[dict[str, Array]]]:
    try:
        whole = {
            name: held[0][name] if len(held) == 1 else np.concatenate([part[name] for part in held])
            for name in names
        }
    except ValueError as error:
        raise InputError(f"{source}: rows differ in their number of values ({error})") from error
    rest = {name: array[size:] for name, array in whole.items()}
    left = [rest] if any(len(array) for array in rest.values()) else []
    return {name: array[:size] for name, array in whole.items()}, left


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _width(kind: pa.DataType) -> int | None:
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    return None if _is_list(kind) else 1


def to_numpy(column: pa.Array, where: str, start: int, width: int = 1) -> Array:
    """A column as an array, (n,) or (n, width); nulls and ragged rows are errors.

    `start` is the number of the first row, `width` how many values of `column` a row has.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if column.null_count:
        null = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
        row = start + int(null[0]) // width
        raise InputError(f"{where}: row {row} (counting from 0) is null; drop or fill such rows")
    kind = column.type
    if _is_list(kind):
        return _nested(column, where, start)
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.asarray(column.to_pylist(), dtype=str)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _nested(column: pa.Array, where: str, start: int) -> Array:
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if lengths.size and (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise InputError(
            f"{where}: row {start + row} (counting from 0) has {lengths[row]} values, "
            f"others have {lengths[0]}"
        )
    width = int(lengths[0]) if lengths.size else 0
    return to_numpy(column.flatten(), where, start, max(width, 1)).reshape(len(column), width)
