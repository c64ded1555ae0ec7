"""Columns from paths: folders named key=value, as Hive and Spark write them."""

from __future__ import annotations

import functools
import operator
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from calibtool.data.files.find import FileSet

NULL = "__HIVE_DEFAULT_PARTITION__"  # how Hive writes a missing value


@dataclass(frozen=True)
class Keys:
    """The columns that paths hold, and their values for each path.

    Attributes:
        schema: pyarrow's, of these columns.
        values: path -> column -> value; None for a missing value.
    """

    schema: pa.Schema
    values: dict[str, dict[str, Any]]

    def expression(self, path: str) -> Any:
        """Return pyarrow's expression of the columns in a path, true of all its rows; or None."""
        import pyarrow.compute as pc

        known = self.values.get(path, {})
        terms = [
            pc.field(name).is_null()
            if value is None
            else pc.field(name) == pa.scalar(value, self.schema.field(name).type)
            for name, value in known.items()
        ]
        return functools.reduce(operator.and_, terms) if terms else None


def keys_of(files: FileSet) -> Keys:
    """Return the keys in the paths of a folder or a glob.

    A key is an integer column if all its values are integers, else text. In a folder, only the
    paths below it count; with a glob, whole paths do.
    """
    if not files.several:
        return Keys(pa.schema([]), {})
    texts = {path: _texts(path, files.base) for path in files.paths}
    names = list(dict.fromkeys(name for known in texts.values() for name in known))
    fields = []
    for name in names:
        present = [known[name] for known in texts.values() if known.get(name) is not None]
        fields.append(pa.field(name, _type(present)))
    schema = pa.schema(fields)
    values = {
        path: {name: _value(known.get(name), schema.field(name).type) for name in names}
        for path, known in texts.items()
    }
    return Keys(schema, values)


def _texts(path: str, base: str | None) -> dict[str, str | None]:
    inside = path[len(base.rstrip("/")) :] if base and path.startswith(base.rstrip("/")) else path
    texts: dict[str, str | None] = {}
    for segment in inside.split("/")[:-1]:
        # in the listing of a web server, the equals sign itself is quoted
        name, equals, value = (unquote(segment) if "://" in path else segment).partition("=")
        if name and equals:
            texts[unquote(name)] = None if value == NULL else unquote(value)
    return texts


def _type(texts: list[str | None]) -> pa.DataType:
    """Return the type that holds all these values: integers if all of them are, else text."""
    # 18 digits always fit into 64 bits
    if texts and all(re.fullmatch(r"-?\d{1,18}", str(text)) for text in texts):
        small = all(abs(int(str(text))) < 1 << 31 for text in texts)
        return pa.int32() if small else pa.int64()
    return pa.string()


def _value(text: str | None, kind: pa.DataType) -> Any:
    return text if text is None or pa.types.is_string(kind) else int(text)
