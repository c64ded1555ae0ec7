"""The schema of tests of perfect calibration."""

from __future__ import annotations

from calibtool.analysis.significance.registry import TESTS
from calibtool.analysis.significance.result import Result
from calibtool.reports.schemas.keywords import (
    COUNT,
    NUMBER,
    TEXT,
    TEXTS,
    Schema,
    array,
    document,
    nullable,
    of_fields,
    one_of,
    record,
)
from calibtool.reports.schemas.report import DATA, DEFINITIONS, P_VALUE, VIEW

_NAME = one_of(TESTS)


def tests() -> Schema:
    """Return the schema of what `calibtool test` finds."""
    test = of_fields(Result, NUMBER, name=_NAME, view=VIEW, p_value=P_VALUE, adjusted=P_VALUE)
    return document(
        "calibtool-tests",
        {
            "data": DATA,
            "view": one_of(("top", "positive")),
            "rejecting": array(_NAME),
            "detectable_ece": nullable(NUMBER),
            "resamples": COUNT,
            "seed": COUNT,
            "reading": TEXT,
            "warnings": TEXTS,
            "tests": array(record({**test, "sensitive_to": TEXT, "source": TEXT})),
        },
        definitions=DEFINITIONS,
    )
