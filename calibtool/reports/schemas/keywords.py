"""The keywords of JSON Schema, draft 2020-12, as far as our documents need them.

Schemas are made, not kept: names come from the registries, versions from the readers and writers,
and the fields of a record from the record itself, so that a schema cannot fall behind the code.
"""

from __future__ import annotations

import re
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from calibtool.reports.json import VERSIONS

Schema: TypeAlias = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
FLAG: Schema = {"type": "boolean"}
NULL: Schema = {"type": "null"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FINITE: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
INSIDE: Schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_OF_TYPES: dict[Any, Schema] = {
    str: TEXT,
    bool: FLAG,
    int: COUNT,
    float: FINITE,
    type(None): NULL,
    Any: {},
}


def ref(name: str) -> Schema:
    """Return a reference to a definition of the same schema."""
    return {"$ref": f"#/$defs/{name}"}


# A limit as users write it, "0.05" or "5 %", as part of a regular expression.
LIMIT = r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?\s*%?"
# A number of a report: JSON has no infinities and no NaN, so that they are written as texts.
NUMBER = ref("number")
_NUMBER: Schema = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]}


def one_of(values: Iterable[str]) -> Schema:
    """Return the schema of one of these texts."""
    return {"enum": [*values]}


def number(least: float, most: float) -> Schema:
    """Return the schema of a number in [least, most]."""
    return {"type": "number", "minimum": least, "maximum": most}


def whole(least: int, most: int | None = None) -> Schema:
    """Return the schema of a whole number from `least` on, up to `most` if there is one."""
    end = {} if most is None else {"maximum": most}
    return {"type": "integer", "minimum": least, **end}


def array(items: Schema, least: int = 0) -> Schema:
    """Return the schema of a list of at least so many items."""
    return {"type": "array", "items": items, **({"minItems": least} if least else {})}


def mapping(values: Schema, least: int = 0) -> Schema:
    """Return the schema of an object whose keys are names, of at least so many of them."""
    found = {"type": "object", "additionalProperties": values}
    return {**found, "minProperties": least} if least else found


def nullable(schema: Schema) -> Schema:
    """Return the schema of a value, or null."""
    return {"anyOf": [schema, NULL]}


def record(properties: Mapping[str, Schema], optional: Collection[str] = ()) -> Schema:
    """Return the schema of an object with these keys, of which some may be absent.

    Further keys are allowed: a new one may come without a new version.
    """
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": dict(properties)}


def when(condition: Schema, then: Schema, otherwise: Schema | None = None) -> Schema:
    """Return what an object must be if its keys meet a condition, and if they do not."""
    found = {"if": condition, "then": then}
    return found if otherwise is None else {**found, "else": otherwise}


def has(**properties: Schema) -> Schema:
    """Return the condition that an object has these keys, with such values."""
    return {"type": "object", "required": [*properties], "properties": properties}


def of_fields(cls: type, numbers: Schema = FINITE, **known: Schema) -> dict[str, Schema]:
    """Return a schema for each field of a record, as its type says.

    Args:
        cls: a dataclass whose fields are keys of a document.
        numbers: the schema of a float.
        known: the schema of fields of which more is known than their type.
    """
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    if unknown := known.keys() - {*names}:
        raise ValueError(f"{cls.__name__} has no fields {unknown}")
    return {name: known[name] if name in known else of_type(hints[name], numbers) for name in names}


def of_type(hint: Any, numbers: Schema = FINITE) -> Schema:
    """Return the schema of a type.

    >>> of_type(tuple[str, ...] | None)["anyOf"][1]
    {'type': 'null'}
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is float:
        return numbers
    if hint in _OF_TYPES:
        return _OF_TYPES[hint]
    if is_dataclass(hint) and isinstance(hint, type):
        return record(of_fields(hint, numbers))
    if origin is Literal:
        return one_of(args)
    if origin in (Union, types.UnionType):
        return {"anyOf": [of_type(arg, numbers) for arg in args]}
    if origin is tuple and args[-1] is not Ellipsis:
        items = [of_type(arg, numbers) for arg in args]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin in (tuple, list, Sequence):
        return array(of_type(args[0], numbers))
    if origin is dict:
        return mapping(of_type(args[1], numbers))
    raise TypeError(f"no schema is known of {hint}")


def document(
    format_: str,
    properties: Mapping[str, Schema],
    *,
    versions: Iterable[int] = (),
    optional: Collection[str] = (),
    definitions: Mapping[str, Schema] | None = None,
    rules: Sequence[Schema] = (),
    key: str = "format",
) -> Schema:
    """Return the schema of a document that names its format and its version.

    Args:
        format_: the value of its key `key`.
        properties: its other keys.
        versions: those that can be read; by default the one that is written.
        optional: keys that may be absent.
        definitions: what `ref` refers to.
        rules: further schemas that must hold of the whole document.
    """
    of_version = [*versions] or [VERSIONS.get(format_, 1)]
    head = {
        key: {"const": format_},
        "version": {"const": of_version[0]} if len(of_version) == 1 else {"enum": of_version},
        "calibtool": TEXT,  # the version that wrote it
    }
    schema = record({**head, **properties}, optional)
    return finished(format_, schema | ({"allOf": [*rules]} if rules else {}), definitions or {})


def finished(title: str, schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a whole schema: with its draft, its name and the definitions that it refers to."""
    every = {"number": _NUMBER, **definitions}
    used: dict[str, Schema] = {}
    waiting = _refers(schema)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used[name] = every[name]
            waiting |= _refers(every[name])
    head = {"$schema": DRAFT, "title": title}
    defs = {"$defs": {name: used[name] for name in every if name in used}} if used else {}
    return {**head, **schema, **defs}


def _refers(schema: Any) -> set[str]:
    """Return the definitions that a schema refers to."""
    if isinstance(schema, Mapping):
        found = set().union(*map(_refers, schema.values()))
        target = re.fullmatch(r"#/\$defs/(.+)", str(schema.get("$ref", "")))
        return found | ({target[1]} if target else set())
    return set().union(*map(_refers, schema)) if isinstance(schema, (list, tuple)) else set()
