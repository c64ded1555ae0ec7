"""JSON lines: one object a line, its values by dotted path, read in blocks of lines.

pyarrow parses the blocks, and Python those that pyarrow does not take: numbers that are fractions
further down, NaN, values of several kinds, and lines that are damaged, which only Python can name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from calibtool.data.files.arrow_batches import errors, without_columns
from calibtool.data.files.line_blocks import Lines, blocks
from calibtool.data.files.table_file import Whole
from calibtool.data.logs import records
from calibtool.errors import UnreadableError, brief, row_name
from calibtool.parallel import cores, ordered
from calibtool.types import Array

# Bytes of lines that are parsed at once: enough for pyarrow to be at full speed, and with a few
# blocks in work at a time less memory than Python and pyarrow take by themselves.
BLOCK = 1 << 22
# Bytes of the lines that tell the columns and their types. A field that no line of these has is
# not found; all of a common file is in them.
HEAD = 1 << 22
FIRST = 1 << 16  # bytes of them that are tried first: hundreds of common records
_KINDS: Mapping[type, str] = {bool: "bool", int: "number", float: "number", str: "text"}


@dataclass(eq=False)
class JsonLines(Whole):
    """A file of JSON lines.

    Attributes:
        wanted: dotted paths that the user named, which may lead into lists.
        skip_bad: whether lines that are not JSON objects are left out.
        bad: the number of each line that was left out, with the reason.
    """

    wanted: tuple[str, ...] = ()
    skip_bad: bool = False
    bad: dict[int, str] = field(default_factory=dict)

    @cached_property
    def schema(self) -> pa.Schema:
        """The fields of the first lines by dotted path, and what the wanted paths lead to."""
        lines = Lines.of(next(self._blocks(HEAD), np.frombuffer(b"\n", dtype=np.uint8)))
        fields: list[pa.Field] = []
        with suppress(pa.ArrowException, UnicodeDecodeError):
            fields = _inferred(lines)
        if not fields:
            found: dict[str, list[Any]] = {}
            for _, record in self._objects(1, lines):
                for name, value in records.flat(record):
                    found.setdefault(name, []).append(value)
            fields = [pa.field(name, _type(values)) for name, values in found.items()]
        fields = list({one.name: one for one in fields}.values())  # "a.b" beside {"a": {"b": 1}}
        known = {one.name for one in fields}
        for path in dict.fromkeys(self.wanted):
            if path not in known:
                values = [records.at(record, path) for _, record in self._objects(1, lines)]
                # an object is a prefix of columns, one per class
                if any(value is not None and not isinstance(value, dict) for value in values):
                    fields.append(pa.field(path, _type(values)))
        return pa.schema(fields)

    @property
    def notes(self) -> tuple[str, ...]:
        return records.left_out(self.shown, self.bad)

    @cached_property
    def rows(self) -> int:
        if self.skip_bad:  # which lines are bad is only known by parsing them
            return sum(1 for number, lines in self._lines() for _ in self._objects(number, lines))
        return sum(ordered(lambda data: Lines.of(data).records, self._blocks(), threads=cores()))

    def place(self, row: int) -> str:
        """Return the number of the line that holds a row; it is found by reading up to it."""
        at = 0
        for number, lines in self._lines():
            count = lines.records
            if at + count <= row and not self.skip_bad:
                at += count
                continue
            for line, text in enumerate(lines.texts(), start=number):
                if text.strip() and line not in self.bad:
                    if at == row:
                        return f"line {line:,}"
                    at += 1
        return row_name(row)

    def _read(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the blocks in order, some of which are parsed by other threads meanwhile."""
        if not names:  # all columns are in the path
            yield without_columns(self.rows)
            return
        kinds = {name: self.schema.field(name).type for name in names}
        explicit = _explicit(kinds)

        def parsed(data: Array) -> tuple[Lines, pa.RecordBatch | None]:
            lines = Lines.of(data)
            return lines, _batch(lines, kinds, explicit)

        number = 1
        for lines, batch in ordered(parsed, self._blocks(), threads=cores()):
            yield self._slowly(number, lines, kinds) if batch is None else batch
            number += lines.count

    def _blocks(self, size: int | None = None) -> Iterator[Array]:
        with errors(self.shown), self.stream() as file:
            yield from blocks(file, size or BLOCK)

    def _lines(self) -> Iterator[tuple[int, Lines]]:
        """Yield blocks of lines, each with the number of its first line, from 1."""
        number = 1
        for lines in map(Lines.of, self._blocks()):
            yield number, lines
            number += lines.count

    def _slowly(
        self, number: int, lines: Lines, kinds: Mapping[str, pa.DataType]
    ) -> pa.RecordBatch:
        """Return columns of a block whose first line has this number, which Python parses."""
        columns: dict[str, list[Any]] = {name: [] for name in kinds}
        numbers = []
        for line, record in self._objects(number, lines):
            numbers.append(line)
            for name, values in columns.items():
                values.append(records.at(record, name))
        arrays = [self._array(name, columns[name], kind, numbers) for name, kind in kinds.items()]
        return pa.RecordBatch.from_arrays(arrays, names=list(kinds))

    def _array(self, name: str, values: list[Any], kind: pa.DataType, lines: list[int]) -> pa.Array:
        """Return values as a column of this type, or of a wider one of the same kind."""
        if pa.types.is_string(kind):
            return self._texts(name, [_text(value) for value in values], lines)
        for attempt in (kind, pa.float64() if pa.types.is_integer(kind) else None, None):
            try:
                made = pa.array(values, attempt)
            except (pa.ArrowException, OverflowError, UnicodeEncodeError):
                continue
            if attempt is not None or made.type == kind or pa.types.is_null(kind):
                return made
        for value, line in zip(values, lines, strict=True):
            try:
                pa.array([value], pa.float64() if pa.types.is_integer(kind) else kind)
            except (pa.ArrowException, OverflowError, UnicodeEncodeError):
                shown = brief(json.dumps(value))
                reason = f"line {line:,}: {name} is {shown}, where lines before have {kind} values"
                raise UnreadableError(self.shown, reason) from None
        raise UnreadableError(self.shown, f"line {lines[0]:,} ff.: {name} holds several kinds")

    def _texts(self, name: str, values: list[str | None], lines: list[int]) -> pa.Array:
        for value, line in zip(values, lines, strict=True):
            try:
                (value or "").encode()
            except UnicodeEncodeError:
                reason = f"line {line:,}: {name} holds half of a surrogate pair, which is no text"
                raise UnreadableError(self.shown, reason) from None
        return pa.array(values, pa.string())

    def _objects(self, number: int, lines: Lines) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the objects of a block by line. Raises UnreadableError, or notes the bad line."""
        for line, text in enumerate(lines.texts(), start=number):
            if not text.strip():
                continue
            try:
                record = records.parse(text, self.shown, line)
                if not isinstance(record, dict):
                    what = (
                        f"line {line:,}: expected an object {{...}}, found {brief(text.decode())}"
                    )
                    raise UnreadableError(self.shown, what)  # noqa: TRY301
            except UnreadableError as error:
                if not self.skip_bad:
                    raise
                self.bad[line] = error.reason
                continue
            yield line, record


def _batch(
    lines: Lines, kinds: Mapping[str, pa.DataType], explicit: pa.Schema | None
) -> pa.RecordBatch | None:
    """Return columns of a block as pyarrow parses them; None for lines that are left to Python."""
    if explicit is None or not lines.plain:
        return None
    try:
        table = _parsed(lines, explicit)
        arrays = [_follow(table, name).cast(kind) for name, kind in kinds.items()]
    except (pa.ArrowException, IndexError, KeyError, UnicodeDecodeError):
        return None
    if table.num_rows != lines.count:  # two values in one line are two rows to pyarrow
        return None
    return pa.RecordBatch.from_arrays(arrays, names=list(kinds))


def _inferred(lines: Lines) -> list[pa.Field]:
    """Return the fields of lines by dotted path as pyarrow finds them; none for lines that are left
    to Python: those it cannot be trusted with, and those of which most lack most fields.

    Where keys are words or names, each line may have its own. pyarrow gives every field room in
    every row, so that it is first tried on a part of the lines.
    """
    size = FIRST if lines.plain else 0
    while size:
        some = lines.first(size)
        table = _parsed(some, None)
        fields = [leaf for top in table.schema for leaf in _leaves(top, top.name)]
        if some.count == lines.count:
            return fields
        if len(fields) * table.num_rows > len(some.data):  # more values than bytes
            break
        size *= 4
    return []


def _parsed(lines: Lines, schema: pa.Schema | None) -> pa.Table:
    """Return a block as a table: all its fields, or those of a schema."""
    return arrow_json.read_json(
        pa.BufferReader(pa.py_buffer(lines.data)),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(lines.data) + 1),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=schema,
            unexpected_field_behavior="infer" if schema is None else "ignore",
        ),
    ).combine_chunks()


def _leaves(field: pa.Field, name: str) -> Iterator[pa.Field]:
    """Yield the fields of an object by dotted path; lists are values."""
    if pa.types.is_struct(field.type) and field.type.num_fields:
        for inner in field.type:
            yield from _leaves(inner, f"{name}.{inner.name}")
    else:
        yield pa.field(name, field.type)


def _explicit(kinds: Mapping[str, pa.DataType]) -> pa.Schema | None:
    """Return the schema that reads these paths and nothing else; None if a path may lead into a
    list, or if a key may hold a dot itself."""
    tree: dict[str, Any] = {}
    for name, kind in kinds.items():
        *above, last = name.split(".")
        if any(part.isdecimal() or not part for part in (*above, last)) and above:
            return None
        inside = tree
        for part in above:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                return None
        if last in inside:
            return None
        inside[last] = kind

    def made(inside: Mapping[str, Any]) -> list[pa.Field]:
        return [
            pa.field(key, pa.struct(made(value)) if isinstance(value, dict) else value)
            for key, value in inside.items()
        ]

    return pa.schema(made(tree))


def _follow(table: pa.Table, name: str) -> pa.Array:
    first, *rest = name.split(".")
    column = table.column(first)
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    for part in rest:
        array = pc.struct_field(array, [part])
    if array.null_count == len(array) and "." in name:
        raise KeyError(name)  # a key that holds a dot itself is found by Python
    return array


def _type(values: list[Any]) -> pa.DataType:
    """Return the type of a column: text if its values are of several kinds."""
    kinds = {_KINDS.get(type(value), "other") for value in values if value is not None}
    if not kinds:
        return pa.null()
    if kinds in ({"number"}, {"bool"}, {"text"}, {"other"}):
        try:
            return pa.array(values).type
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            return pa.string()
    return pa.string()


def _text(value: Any) -> str | None:
    """Return a value as text: as JSON writes it, if it is none."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
