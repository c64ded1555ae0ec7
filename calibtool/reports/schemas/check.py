"""The schema of a gate's outcome."""

from __future__ import annotations

from typing import get_args

from calibtool.decisions.limit import RELATIONS
from calibtool.gate.outcome import MODES, Decision
from calibtool.reports.schemas.keywords import (
    COUNT,
    FINITE,
    FLAG,
    NUMBER,
    TEXT,
    Schema,
    array,
    document,
    nullable,
    one_of,
    record,
)
from calibtool.reports.schemas.report import BODY, DEFINITIONS, ESTIMATE, LEVEL

_DECISION = one_of(get_args(Decision))
_CHECK = {
    "slice": nullable(TEXT),
    "rows": nullable(COUNT),
    "measured": ESTIMATE,
    "level": LEVEL,
    "verdict": _DECISION,
    "margin": nullable(NUMBER),
    "why": TEXT,
    "detectable": nullable(FINITE),
    "rows_needed": nullable(COUNT),
}
_REQUIREMENT = record(
    {
        "requirement": TEXT,
        "subject": TEXT,
        "relation": one_of(RELATIONS),
        "threshold": FINITE,
        "by": nullable(TEXT),
        **_CHECK,
        "slices": array(record(_CHECK)),
        "note": TEXT,
    }
)


def check() -> Schema:
    """Return the schema of what `calibtool check` finds."""
    return document(
        "calibtool-check",
        {
            "passed": FLAG,
            "decision": _DECISION,
            "mode": one_of(MODES),
            "inconclusive_counts_as": nullable(one_of(("pass", "fail"))),
            "alpha": LEVEL,
            "baseline": nullable(TEXT),
            "requirements": array(_REQUIREMENT),
            "report": BODY,
        },
        definitions=DEFINITIONS,
    )
