"""Folders named key=value, as Hive and Spark write them: columns that the paths tell."""

from __future__ import annotations

import functools
import operator
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from calibtool.data.files.find import Found

NULL = "__HIVE_DEFAULT_PARTITION__"  # how Hive writes a missing value


@dataclass(frozen=True)
class Keys:
    """The columns that paths tell, and each path's values."""

    schema: pa.Schema
    values: dict[str, dict[str, Any]]

    def expression(self, path: str) -> Any:
        """What is known of every row of the file, or None."""
        known = self.values.get(path, {})
        terms = [
            pc.field(name).is_null()
            if value is None
            else pc.field(name) == pa.scalar(value, self.schema.field(name).type)
            for name, value in known.items()
        ]
        return functools.reduce(operator.and_, terms) if terms else None


def keys_of(found: Found) -> Keys:
    """The keys in the paths of a folder or a glob: whole numbers where all values are, else text.

    Paths relative to the named folder count; of a glob, whole paths.
    """
    if not found.several:
        return Keys(pa.schema([]), {})
    texts = {path: _texts(path, found.base) for path in found.paths}
    names = list(dict.fromkeys(name for known in texts.values() for name in known))
    fields = []
    for name in names:
        there = [known[name] for known in texts.values() if known.get(name) is not None]
        fields.append(pa.field(name, _type(there)))
    schema = pa.schema(fields)
    values = {
        path: {name: _value(known.get(name), schema.field(name).type) for name in names}
        for path, known in texts.items()
    }
    return Keys(schema, values)


def _texts(path: str, base: str | None) -> dict[str, str | None]:
    inside = path[len(base.rstrip("/")) :] if base and path.startswith(base.rstrip("/")) else path
    found: dict[str, str | None] = {}
    for segment in inside.split("/")[:-1]:
        # the listing of a server quotes the sign itself
        name, equals, value = (unquote(segment) if "://" in path else segment).partition("=")
        if name and equals:
            found[unquote(name)] = None if value == NULL else unquote(value)
    return found


def _type(texts: list[str | None]) -> pa.DataType:
    if texts and all(re.fullmatch(r"-?\d{1,18}", str(text)) for text in texts):
        small = all(abs(int(str(text))) < 1 << 31 for text in texts)
        return pa.int32() if small else pa.int64()
    return pa.string()


def _value(text: str | None, kind: pa.DataType) -> Any:
    return text if text is None or pa.types.is_string(kind) else int(text)
