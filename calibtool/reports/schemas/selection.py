"""The schema of a selection among all calibrators."""

from __future__ import annotations

from calibtool.analysis.candidate import NOTHING, Candidate
from calibtool.calibrators.registry import EVERY
from calibtool.reports.schemas.keywords import (
    INSIDE,
    NUMBER,
    TEXT,
    Schema,
    array,
    document,
    nullable,
    of_fields,
    one_of,
    record,
)
from calibtool.reports.schemas.report import DATA, DEFINITIONS

_NAME = one_of((NOTHING, *EVERY))


def selection() -> Schema:
    """Return the schema of what `calibtool select` finds."""
    candidate = of_fields(
        Candidate, NUMBER, method=_NAME, worse=one_of(("", "nll", "brier", "nll, brier"))
    )
    return document(
        "calibtool-selection",
        {
            "data": DATA,
            "how": TEXT,
            "rank_by": one_of(("nll", "brier")),
            "level": INSIDE,
            "prior": NUMBER,
            "candidates": array(
                record({**candidate, "skill": nullable(NUMBER)}, optional=["folds"]), least=1
            ),
            "best": _NAME,
            "chosen": _NAME,
            "why": TEXT,
        },
        definitions=DEFINITIONS,
    )
