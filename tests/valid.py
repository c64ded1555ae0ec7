"""Documents held to their schemas, and closer than a user is: no key may be there that the schema
does not name, so that one that is written without a line in its schema is found."""

from __future__ import annotations

from functools import cache

from jsonschema import Draft202012Validator

from calibtool.reports.schemas.registry import schema

# keywords whose schemas are of a part of the document, and those of the same place in it
BELOW = ("items", "additionalProperties", "prefixItems")
SAME = ("allOf", "anyOf", "then", "else")
PARTIAL = ("uniform",)  # definitions that say something more of what another one describes


@cache
def validator(name, *, strict=True):
    made = schema(name)
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(closed(made) if strict else made)


def require_valid(document, name=None):
    """Fail if a document is not as its schema says, which its key `format` names by default."""
    name = name or document.get("format") or document["schema"]
    errors = [
        f"{error.json_path}: {error.message[:200]}"
        for error in validator(name).iter_errors(document)
    ]
    assert not errors, errors[:5]


def closed(node, *, place=True):
    """A schema that allows no keys but those it names; `place` is where a part begins."""
    if isinstance(node, list):
        return [closed(item, place=place) for item in node]
    if not isinstance(node, dict):
        return node
    out = dict(node)
    for key, value in node.items():
        if key in BELOW:
            out[key] = closed(value)
        elif key in SAME:
            out[key] = closed(value, place=False)
        elif key == "properties":
            out[key] = {name: closed(part) for name, part in value.items()}
        elif key == "$defs":
            out[key] = {
                name: part if name in PARTIAL else closed(part, place=False)
                for name, part in value.items()
            }
    if place and {"required", "$ref", "anyOf"} & node.keys():
        out["unevaluatedProperties"] = False
    return out
