"""Plain JSON documents: a list of records, an object of records, or a table.

Values are columns by their dotted paths; which of them plays which part is decided as for any other
table, by name or option. Read are

- a list of records, `[{"p": 0.9, "y": 1}, ...]`, also as the one list of an object around it;
- an object of records by id, `{"q1": {"p": 0.9, "y": 1}, ...}`: the ids become a column;
- a table of columns and rows, `{"columns": ["p", "y"], "data": [[0.9, 1], ...]}`, as W&B, MLflow
  and pandas (orient="split") write it;
- an object of columns, `{"p": [0.9, ...], "y": [1, ...]}`, also with "classes" beside them, and
  with the objects by row of pandas, `{"p": {"0": 0.9, ...}, "y": {"0": 1, ...}}`;
- one record, `{"p": 0.9, "y": 1}`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from calibtool.data.files.roles import ALIASES, Choice, has_role
from calibtool.data.logs.log import Log, LogFile, LogFormat
from calibtool.data.logs.records import Columns, flat
from calibtool.data.logs.typed import typed_paths, typed_values
from calibtool.errors import UnreadableError, echo

_SHAPES = (
    "expected a list of records, an object of records or of columns, or a table "
    '{"columns": [...], "data": [[...], ...]}'
)


def recognise(file: LogFile) -> bool:
    """Return whether a file is one JSON value, not lines of them."""
    head = file.head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not head.startswith((b"[", b"{")):
        return False
    _, _, rest = head.partition(b"\n")
    return file.first is None or not rest.strip()


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Return the values of all records as columns by dotted path."""
    columns, paths = Columns(), typed_paths(choice)
    notes: list[str] = []
    for file in files:
        before = columns.rows
        for record in _records(file, notes):
            row = dict(flat(record))
            columns.add(row | typed_values(record, [path for path in paths if path not in row]))
        if columns.rows == before:
            raise UnreadableError(file.shown, "holds no records")
    named = columns.result(paths)
    return Log(named, classes=_classes(files), notes=(*notes, *columns.notes))


def _records(file: LogFile, notes: list[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a document of any of the shapes."""
    document = file.document
    if isinstance(document, list):
        yield from _listed(file, document)
    elif not isinstance(document, dict):
        raise UnreadableError(file.shown, f"holds one JSON value; {_SHAPES}")
    elif isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        yield from _table(file, document["columns"], document["data"])
    elif document and all(isinstance(value, dict) for value in document.values()):
        yield from _keyed(document)
    else:
        yield from _parts(file, document, notes)


def _parts(
    file: LogFile, document: Mapping[str, Any], notes: list[str]
) -> Iterator[Mapping[str, Any]]:
    """Yield the records of an object that has parts of several kinds; tell what is not read."""
    lists = [name for name, value in document.items() if _are_records(value)]
    columns = {
        name: value
        for name, value in document.items()
        if isinstance(value, list) and not _are_records(value) and not _names_classes(name)
    }
    if len(lists) == 1 and not any(map(has_role, columns)):
        read = [lists[0]]
        yield from _listed(file, document[lists[0]])
    elif not lists and columns and (len(columns) == len(document) or any(map(has_role, columns))):
        read = [*columns]
        yield from _columns(file, columns)
    elif not lists and not columns and any(has_role(name) for name, _ in flat(document)):
        read = [*document]
        yield document
    else:
        raise UnreadableError(file.shown, f"an object of {_listing(document)}; {_SHAPES}")
    unread = [name for name in document if name not in read and not _names_classes(name)]
    if unread:
        parts = "records of" if lists else "columns"
        notes.append(f"{file.shown}: read the {parts} {_listing(read)}, not {_listing(unread)}")


def _names_classes(name: str) -> bool:
    return name.lower() in ALIASES["classes"]


def _classes(files: Sequence[LogFile]) -> tuple[str, ...] | None:
    """Return the names of the classes, if an object of columns has a list of them."""
    document = files[0].document
    for name, value in document.items() if isinstance(document, dict) else ():
        if _names_classes(name) and isinstance(value, list):
            if all(isinstance(entry, str) for entry in value):
                return tuple(value)
            raise UnreadableError(files[0].shown, f"{name}: expected a list of texts")
    return None


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _listing(found: Collection[str]) -> str:
    """Return keys of an object for a message."""
    most = 6  # keys that a message shows
    names = [echo(name) for name in found]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "") if names else "no keys"


def _listed(file: LogFile, records: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise UnreadableError(
                file.shown,
                f"record {number:,}: expected an object, found {_kind(record)}; {_SHAPES}",
            )
        yield record


def _kind(value: Any) -> str:
    """Return what JSON calls a value."""
    names = {type(None): "null", bool: "true or false", list: "a list", str: "a text"}
    return names.get(type(value), "a number")


def _table(
    file: LogFile, columns: Sequence[Any], data: Sequence[Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a table; a cell that is null has no value."""
    names = [name if isinstance(name, str) else str(name) for name in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UnreadableError(file.shown, f"the column {echo(twice)} occurs twice; rename one")
    for number, row in enumerate(data, start=1):
        if not isinstance(row, list) or len(row) != len(names):
            size = f"{len(row)} cells" if isinstance(row, list) else _kind(row)
            raise UnreadableError(
                file.shown, f"row {number:,}: expected {len(names)} cells, found {size}"
            )
        yield dict(zip(names, row, strict=True))


def _keyed(document: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield records with the key of each in "id", or "key" where records have an id themselves.

    The objects are columns instead if their names have roles and their keys are rows 0 to n-1.
    """
    rows = {tuple(value) for value in document.values()}
    numbers = next(iter(rows))
    if len(rows) == 1 and all(key.isdecimal() for key in numbers) and any(map(has_role, document)):
        for number in numbers:
            yield {name: value[number] for name, value in document.items()}
        return
    name = "key" if any("id" in record for record in document.values()) else "id"
    for key, record in document.items():
        yield {name: key, **record}


def _columns(file: LogFile, document: Mapping[str, Sequence[Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of an object of columns."""
    lengths = {name: len(values) for name, values in document.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{echo(name)} {length:,}" for name, length in lengths.items())
        raise UnreadableError(file.shown, f"columns have different numbers of rows: {listed}")
    for values in zip(*document.values(), strict=True):
        yield dict(zip(document, values, strict=True))


FORMAT = LogFormat(
    name="json",
    title="a JSON document",
    suffixes=(".json",),
    recognise=recognise,
    read=read,
)
