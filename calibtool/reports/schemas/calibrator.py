"""The schema of calibrator files, of all versions that are read."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from calibtool.calibrators.calibrator_file import CONFIDENCE, FORMAT, UNIFORM, VERSION
from calibtool.calibrators.curves import CURVES, Bend, Crossed, Pair
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.maps import EXTREME
from calibtool.calibrators.multiclass_curves import MULTICLASS
from calibtool.calibrators.nested_maps import MAPS
from calibtool.calibrators.registry import EVERY
from calibtool.data.files.document import LARGE
from calibtool.reports.schemas.keywords import (
    INSIDE,
    NULL,
    SHARE,
    TEXT,
    Schema,
    array,
    finished,
    has,
    mapping,
    nullable,
    of_fields,
    one_of,
    record,
    ref,
    when,
    whole,
)
from calibtool.reports.schemas.keywords import number as within

CALIBRATOR = ref("calibrator")
_NUMBER = within(-LARGE, LARGE)
_TEMPERATURE = within(1 / EXTREME, EXTREME)
_SHARES = array(SHARE, least=2)


def _curve(curve: Any) -> Schema:
    """Return the schema of the parameters of a curve: its fields, each in its range."""
    if curve is Crossed:
        return record({"pairs": array(_curve(Pair), least=1)})
    found = {}
    for field in fields(curve):
        value = within(curve.least.get(field.name, -LARGE), curve.most.get(field.name, LARGE))
        found[field.name] = value if field.type == "float" else array(value)
    return record(found)


def _condition() -> Schema:
    """Return the schema of a condition on one column."""
    ends = {name: nullable(_NUMBER) for name in ("above", "upto")}
    value = {"anyOf": [TEXT, _NUMBER]}
    known = {"column": TEXT, "missing": nullable({"type": "boolean"}), "value": nullable(value)}
    says = [has(missing={"const": True}), has(value=value), *(has(**{n: _NUMBER}) for n in ends)]
    return {**record(known | ends, ("missing", "value", *ends)), "anyOf": says}


def parameters(inner: Schema) -> dict[str, Schema]:
    """Return the schema of the parameters of each map; `inner` is that of the maps in it."""
    weight = [_NUMBER, array(_NUMBER, least=2), array(array(_NUMBER, least=2), least=2)]
    bend = record({**_curve(Bend)["properties"], "floor": INSIDE})
    curves = {
        "multiclass": one_of(MULTICLASS),
        "curve": one_of(CURVES),
        "curves": array({"type": "object"}, least=1),
        "floor": INSIDE,
        "prior": _SHARES,
    }
    of_curve = [
        when(
            has(curve={"const": name}),
            {"properties": {"curves": array(_curve(curve))}},
        )
        for name, curve in CURVES.items()
    ]
    patch = record({"where": array(_condition()), "shifts": array(_NUMBER, least=1)})
    return {
        "temperature": record({"temperature": _TEMPERATURE}),
        "affine": record(
            {
                "weight": {"anyOf": weight},
                "bias": array(_NUMBER, least=2),
                "look": one_of(("logits", "log-probs")),
                "floor": INSIDE,
                "temperature": _TEMPERATURE,
                "uniform": nullable(SHARE),
            },
            ("uniform",),
        ),
        "mixture": record({"temperature": _TEMPERATURE, "shares": array(SHARE, least=3)}),
        "monotone": bend,
        "curves": {**record(curves), "allOf": of_curve},
        "by-group": record(
            {"column": TEXT, "groups": mapping(inner, least=1), "other": nullable(inner)},
            ("other",),
        ),
        "patched": record(
            {
                "inner": inner,
                "knots": array(_NUMBER, least=1),
                "patches": array(patch),
                "floor": INSIDE,
            }
        ),
        "shifted": record({"inner": inner, "prior": _SHARES, "target": _SHARES}),
    }


def _map() -> Schema:
    """Return the schema of a map: the first files named none, and held temperatures."""
    rules = [
        when(
            {"properties": {"map": {"enum": [name, None] if name == "temperature" else [name]}}}
            | ({} if name == "temperature" else {"required": ["map"]}),
            {"properties": {"parameters": known}},
        )
        for name, known in parameters(ref("map")).items()
    ]
    found = record({"map": nullable(one_of(MAPS)), "parameters": {"type": "object"}}, ("map",))
    return {**found, "allOf": rules}


def _uniform() -> Schema:
    """Return what version 3 demands of a map: that its affine parts say their uniform share."""
    inner = ref("uniform")
    held = {
        "affine": record({"uniform": SHARE}),
        "shifted": record({"inner": inner}),
        "by-group": record({"groups": mapping(inner)}),
    }
    rules = [
        when(has(map={"const": name}), {"properties": {"parameters": parameters}})
        for name, parameters in held.items()
    ]
    return {"required": ["map"], "properties": {"map": one_of(MAPS)}, "allOf": rules}


def _fitted() -> Schema:
    """Return the schema of the record of a fit, of which every key may be absent or null."""
    known: dict[str, Schema] = of_fields(
        FitRecord,
        kind=one_of(("", "logits", "probs", CONFIDENCE)),
        prior=array(SHARE),
        options=mapping({}),
    )
    known["calibtool"] = TEXT  # the version that wrote it
    return record({name: nullable(value) for name, value in known.items()}, known)


def _of_confidences() -> Schema:
    """Return what the keys of classes are: null in a calibrator of confidences, else their number
    and, perhaps, their names."""
    none = has(classes=NULL, class_names=NULL, kind={"const": CONFIDENCE})
    names = nullable(array(TEXT, least=2))
    of_classes = record({"classes": whole(2), "class_names": names}, ("class_names",))
    kind = {"not": has(kind={"not": NULL})}
    second = has(version={"not": {"const": 1}})
    return when(second, when(kind, of_classes, none), of_classes)


def definitions() -> dict[str, Schema]:
    """Return the definitions of a calibrator that a document holds."""
    return {"calibrator": _calibrator(), "map": _map(), "uniform": _uniform()}


def _calibrator() -> Schema:
    head: dict[str, Schema] = {
        "format": {"const": FORMAT},
        "version": {"enum": [*range(1, VERSION + 1)]},
        "method": one_of(EVERY),
        "fitted": _fitted(),
        "calibtool": TEXT,  # of what Python shows of a calibrator
    }
    rules = [
        _of_confidences(),
        ref("map"),
        when(has(version={"enum": [*range(UNIFORM, VERSION + 1)]}), ref("uniform")),
    ]
    return {**record(head, ("fitted", "calibtool")), "allOf": rules}


def calibrator() -> Schema:
    """Return the schema of a calibrator file."""
    return finished(FORMAT, CALIBRATOR, definitions())
