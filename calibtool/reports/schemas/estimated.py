"""The schemas of what is estimated of rows without labels."""

from __future__ import annotations

from calibtool.analysis.implied import ImpliedMetric
from calibtool.analysis.label_shift import ClassShare
from calibtool.reports.schemas.keywords import (
    COUNT,
    INSIDE,
    NUMBER,
    SHARE,
    TEXT,
    TEXTS,
    Schema,
    array,
    document,
    of_fields,
    record,
)
from calibtool.reports.schemas.report import DATA, DEFINITIONS, METRIC


def prior() -> Schema:
    """Return the schema of the class shares that `calibtool estimate --labelled` finds."""
    return document(
        "calibtool-prior",
        {
            "data": DATA,
            "labelled": DATA,
            "level": INSIDE,
            "replicates": COUNT,
            "differ": TEXTS,
            "classes": array(record(of_fields(ClassShare, SHARE)), least=2),
        },
        definitions=DEFINITIONS,
    )


def implied() -> Schema:
    """Return the schema of the metrics that `calibtool estimate` finds without labels."""
    return document(
        "calibtool-implied",
        {
            "data": DATA,
            "calibrator": TEXT,
            "level": INSIDE,
            "draws": COUNT,
            "assumed": TEXT,
            "metrics": array(record(of_fields(ImpliedMetric, NUMBER, name=METRIC))),
        },
        definitions=DEFINITIONS,
    )
