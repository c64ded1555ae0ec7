"""The schema of a comparison of models on the same rows."""

from __future__ import annotations

from calibtool.analysis.comparison import FAMILIES
from calibtool.reports.schemas.keywords import (
    COUNT,
    FINITE,
    NUMBER,
    TEXT,
    TEXTS,
    Schema,
    array,
    document,
    nullable,
    one_of,
    record,
)
from calibtool.reports.schemas.report import (
    BETTER,
    DATA,
    DEFINITIONS,
    LEVEL,
    METRIC,
    P_VALUE,
    estimate,
)

_VERDICT = one_of(("better", "worse", "higher", "lower", ""))
_SYSTEM = estimate(system=TEXT, change=nullable(estimate(adjusted=P_VALUE, verdict=_VERDICT)))


def comparison() -> Schema:
    """Return the schema of what `calibtool compare` finds."""
    metric = {
        "metric": METRIC,
        "family": one_of(FAMILIES),
        "better": BETTER,
        "ideal": nullable(FINITE),
        "least": NUMBER,
        "most": NUMBER,
        "best": TEXTS,
        "systems": array(_SYSTEM, least=2),
    }
    return document(
        "calibtool-comparison",
        {
            "data": DATA,
            "systems": array(TEXT, least=2),
            "reference": TEXT,
            "matched_by": TEXT,
            "level": LEVEL,
            "tests": COUNT,
            "metrics": array(record(metric)),
            "reading": TEXT,
        },
        definitions=DEFINITIONS,
    )
