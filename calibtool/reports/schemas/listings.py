"""The schemas of what describes: files, metrics, losses, diagrams; and of an error."""

from __future__ import annotations

from calibtool.data.inspection import Inspection
from calibtool.data.predictions import KIND_NAMES
from calibtool.diagrams import data_file
from calibtool.diagrams.registry import KINDS
from calibtool.metrics.registry import METRICS, SECTIONS
from calibtool.reports.metrics import FIELDS as OF_METRICS
from calibtool.reports.schemas.keywords import (
    COUNT,
    FINITE,
    FLAG,
    NUMBER,
    TEXT,
    TEXTS,
    Schema,
    array,
    document,
    mapping,
    nullable,
    of_fields,
    one_of,
    record,
)
from calibtool.reports.schemas.report import BETTER


def inspection() -> Schema:
    """Return the schema of what `calibtool inspect` finds."""
    found = of_fields(Inspection)
    found["recognised_as"] = found.pop("format")
    return document("calibtool-inspection", found)


def predictions() -> Schema:
    """Return the schema of predictions, of which `to_dict` tells no row."""
    return document(
        "calibtool-predictions",
        {
            "source": TEXT,
            "rows": COUNT,
            "classes": nullable(COUNT),
            "kind": one_of(KIND_NAMES),
            "weighted": FLAG,
            "columns": TEXTS,
            "accuracy": nullable(FINITE),
        },
    )


def metrics() -> Schema:
    """Return the schema of the list of metrics."""
    known: dict[str, Schema] = {
        **dict.fromkeys(OF_METRICS, TEXT),
        "metric": one_of(METRICS),
        "section": one_of([*SECTIONS, ""]),
        "better": BETTER,
        "ideal": nullable(FINITE),
        "least": NUMBER,
        "most": NUMBER,
    }
    return document("calibtool-metrics", {"metrics": array(record(known))})


def losses() -> Schema:
    """Return the schema of the list of losses for training."""
    value = {"type": ["number", "boolean", "array"], "items": FINITE}
    option = {"name": TEXT, "default": value, "least": FINITE, "most": FINITE, "what": TEXT}
    names = ("loss", "summary", "formula", "source", "class")
    known = {**dict.fromkeys(names, TEXT), "options": array(record(option))}
    return document("calibtool-losses", {"losses": array(record(known))})


def schemas() -> Schema:
    """Return the schema of the list of schemas."""
    known = dict.fromkeys(("schema", "of", "written_by"), TEXT)
    return document("calibtool-schemas", {"schemas": array(record(known), least=1)})


def diagram() -> Schema:
    """Return the schema of the data of a diagram, whose parts are tables of its own."""
    return document(
        data_file.SCHEMA,
        {
            "kind": one_of(KINDS),
            "parts": mapping(array(mapping({"type": ["number", "string", "boolean", "null"]}))),
            "notes": TEXTS,
        },
        versions=[data_file.VERSION],
        key="schema",
    )


def error() -> Schema:
    """Return the schema of an error that stands where a document would."""
    return document("calibtool-error", {"error": {"type": "string", "minLength": 1}})
