"""The schemas of reports: of one file, and of several side by side; and of estimates."""

from __future__ import annotations

import re

from calibtool.data.predictions import DataInfo
from calibtool.gate import baseline
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.grammar import VIEWS
from calibtool.metrics.registry import METRICS
from calibtool.reports.schemas.keywords import (
    COUNT,
    FINITE,
    INSIDE,
    NULL,
    NUMBER,
    SHARE,
    TEXT,
    TEXTS,
    Schema,
    array,
    document,
    has,
    nullable,
    of_fields,
    one_of,
    record,
    ref,
    when,
)

VIEW = one_of([*VIEWS, ""])
LEVEL = nullable(INSIDE)
P_VALUE = nullable(SHARE)
DATA = ref("data")
ESTIMATE = ref("estimate")
BETTER = one_of(("lower", "higher", "nearer", ""))
_FIELDS = of_fields(Estimate, NUMBER, p_value=P_VALUE, view=VIEW, better=BETTER)
# the name of a metric, perhaps with its options
METRIC: Schema = {
    "type": "string",
    "pattern": rf"^(?:{'|'.join(map(re.escape, METRICS))})(?:\(.+\))?$",
}
_CELLS = {"view": one_of(VIEWS), **dict.fromkeys(("edges", "n", "p", "y"), array(FINITE))}


def estimate(**more: Schema) -> Schema:
    """Return the schema of an estimate with further keys: where it has no value, it says why."""
    why = when(has(value=NULL), has(missing={"type": "string", "minLength": 1}))
    return {**record({**_FIELDS, **more}), **why}


DEFINITIONS = {"data": record(of_fields(DataInfo)), "estimate": estimate()}
_METRIC = estimate(name=METRIC, after=ESTIMATE, change=ESTIMATE)
_METRIC["required"] = [*_FIELDS]  # the others are those of a calibrator
BODY = record(
    {
        "data": DATA,
        "level": LEVEL,
        "calibrator": nullable(TEXT),
        "metrics": array({**_METRIC, "dependentRequired": {"after": ["change"]}}),
        "bias": nullable(ESTIMATE),
        "cells": nullable(record(_CELLS)),
        "digest": nullable(TEXT),
        "reading": TEXT,
        "warnings": TEXTS,
        "notes": TEXTS,
        "skipped": array(record({"file": TEXT, "reason": TEXT})),
    }
)


def report() -> Schema:
    """Return the schema of a report, of any version that `check --baseline` reads."""
    old = of_fields(Estimate, NUMBER, p_value=P_VALUE) | {"unbiased": nullable(NUMBER)}
    first = record(
        {
            "data": record({"rows": COUNT}),
            "level": LEVEL,
            "metrics": array(record(old, old.keys() - {"name"})),
        },
        ("level",),
    )
    return document(
        "calibtool-report",
        {},
        versions=baseline.VERSIONS,
        definitions=DEFINITIONS,
        rules=[when(has(version={"const": 1}), first, BODY)],
    )


def reports() -> Schema:
    """Return the schema of several reports side by side."""
    named = {**BODY, "required": ["name", *BODY["required"]]}
    named["properties"] = {"name": TEXT, **BODY["properties"]}
    return document(
        "calibtool-reports",
        {"reports": array(named, least=1)},
        definitions=DEFINITIONS,
    )
