"""JSON lines: one object a line, its values by dotted path, read in blocks of lines.

pyarrow parses the blocks, and Python those that pyarrow does not take: numbers that are fractions
further down, NaN, values of several kinds, and lines that are damaged, which only Python can name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from calibtool.data.files.arrow_file import errors
from calibtool.data.files.table_file import Whole
from calibtool.data.logs import records
from calibtool.errors import UnreadableError, brief, row_name
from calibtool.parallel import cores, ordered

# Bytes of lines that are parsed at once: enough for pyarrow to be at full speed, and with a few
# blocks in work at a time less memory than Python and pyarrow take by themselves.
BLOCK = 1 << 23
# Bytes of the lines that tell the columns and their types. A field that no line of these has is
# not found; all of a common file is in them.
HEAD = 1 << 22
OPENED = 1000  # lists and objects in a line up to which pyarrow parses it: it stands about 10,000
_BLANK = re.compile(rb"^[ \t\r]*\n", re.MULTILINE)
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
        _, block = next(self._blocks(HEAD), (1, b""))
        fields: list[pa.Field] = []
        with suppress(pa.ArrowException, UnicodeDecodeError):
            if _is_plain(block):
                table = _parsed(block, None)
                fields = [f for top in table.schema for f in _leaves(top, top.name)]
        if not fields:
            objects = [record for _, record in self._objects(1, block)]
            columns = records.Columns()
            for record in objects:
                columns.add(dict(records.flat(record)))
            fields = [pa.field(name, _type(column)) for name, column in columns.result().items()]
        fields = list({one.name: one for one in fields}.values())  # "a.b" beside {"a": {"b": 1}}
        known = {one.name for one in fields}
        for path in dict.fromkeys(self.wanted):
            if path not in known:
                found = [records.at(record, path) for _, record in self._objects(1, block)]
                # an object is a prefix of columns, one per class
                if any(value is not None and not isinstance(value, dict) for value in found):
                    fields.append(pa.field(path, _type(found)))
        return pa.schema(fields)

    @property
    def notes(self) -> tuple[str, ...]:
        return records.left_out(self.shown, self.bad)

    @cached_property
    def rows(self) -> int:
        if self.skip_bad:  # which lines are bad is only known by parsing them
            return sum(1 for block in self._blocks(BLOCK) for _ in self._objects(*block))
        return sum(_count(block) for _, block in self._blocks(BLOCK))

    def place(self, row: int) -> str:
        """Return the number of the line that holds a row; it is found by reading up to it."""
        at = 0
        for number, block in self._blocks(BLOCK):
            count = _count(block)
            if at + count <= row and not self.skip_bad:
                at += count
                continue
            for line, text in enumerate(block.splitlines(), start=number):
                if text.strip() and line not in self.bad:
                    if at == row:
                        return f"line {line:,}"
                    at += 1
        return row_name(row)

    def _read(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the blocks in order, some of which are parsed by other threads meanwhile."""
        yield from ordered(
            lambda block: self._batch(*block, names), self._blocks(BLOCK), threads=cores()
        )

    def _blocks(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Yield whole lines of about `size` bytes together, and the number of the first, from 1."""
        number = 1
        with errors(self.shown), self.stream() as file:
            while block := file.read(size):
                if number == 1:
                    block = block.removeprefix(b"\xef\xbb\xbf")
                if not block.endswith(b"\n"):
                    block += file.readline()
                if not block.endswith(b"\n"):  # the end of the file
                    block += b"\n"
                yield number, block
                number += block.count(b"\n")

    def _batch(self, number: int, block: bytes, names: list[str]) -> pa.RecordBatch:
        """Return the named columns of a block whose first line has this number."""
        kinds = {name: self.schema.field(name).type for name in names}
        if not names:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * _count(block), pa.struct([])))
        try:
            explicit = _explicit(kinds)
            if explicit is None or not _is_plain(block):
                return self._slowly(number, block, kinds)
            table = _parsed(block, explicit)
            arrays = [_follow(table, name).cast(kinds[name]) for name in names]
            if table.num_rows != block.count(
                b"\n"
            ):  # pyarrow takes two values in one line for two rows
                return self._slowly(number, block, kinds)
        except (pa.ArrowException, IndexError, KeyError, UnicodeDecodeError):
            return self._slowly(number, block, kinds)
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _slowly(
        self, number: int, block: bytes, kinds: Mapping[str, pa.DataType]
    ) -> pa.RecordBatch:
        columns: dict[str, list[Any]] = {name: [] for name in kinds}
        lines = []
        for line, record in self._objects(number, block):
            lines.append(line)
            for name, values in columns.items():
                values.append(records.at(record, name))
        arrays = [self._array(name, columns[name], kind, lines) for name, kind in kinds.items()]
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

    def _objects(self, number: int, block: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the objects of a block by line. Raises UnreadableError, or notes the bad line."""
        for line, text in enumerate(block.split(b"\n"), start=number):
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


def _is_plain(block: bytes) -> bool:
    """Return whether pyarrow can parse a block: it dies of a block that begins with `null`, takes
    null for an object, and overflows its stack where values stand in one another too deep."""
    lines = block.count(b"\n")
    # where each line opens one object, no line opens OPENED more than there are others in all
    opened = block.count(b"{") + block.count(b"[") - lines
    return _openings(block) == lines and (opened < OPENED or not _is_deep(block))


def _openings(block: bytes) -> int:
    """Return the number of lines that begin as objects do."""
    return block.count(b"\n{") + block.startswith(b"{")


def _is_deep(block: bytes) -> bool:
    """Return whether a line opens so many lists and objects that they may stand in one another too
    deep for pyarrow, whose parser then runs off the end of its stack."""
    data = np.frombuffer(block, dtype=np.uint8)
    opened = np.flatnonzero((data == ord("[")) | (data == ord("{")))
    if len(opened) <= OPENED:
        return False
    line = np.searchsorted(np.flatnonzero(data == ord("\n")), opened)
    return bool((line[OPENED:] == line[:-OPENED]).any())


def _parsed(block: bytes, schema: pa.Schema | None) -> pa.Table:
    """Return a block as a table: all its fields, or those of a schema."""
    return arrow_json.read_json(
        pa.BufferReader(block),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
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


def _count(block: bytes) -> int:
    """Return the number of lines of a block that are not blank."""
    lines = block.count(b"\n")
    if _openings(block) < lines:  # some begin otherwise: are they blank?
        lines -= len(_BLANK.findall(block))
    return lines
