"""The schemas of slices: those by a column, and those that a search has found."""

from __future__ import annotations

from calibtool.analysis.slice_search import FoundSlice
from calibtool.reports.schemas.keywords import (
    COUNT,
    FINITE,
    INSIDE,
    NUMBER,
    SHARE,
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
from calibtool.reports.schemas.report import DATA, DEFINITIONS, ESTIMATE, LEVEL, P_VALUE, estimate


def slices() -> Schema:
    """Return the schema of what `calibtool evaluate --by` finds."""
    part = {
        "by": TEXT,
        "slices": array(
            record(
                {
                    "slice": TEXT,
                    "rows": COUNT,
                    "metrics": array(estimate(p_of_whole=P_VALUE, adjusted=P_VALUE)),
                }
            )
        ),
        "set_apart": array(record({"slice": TEXT, "rows": COUNT})),
        "notes": TEXTS,
        "mean": array(ESTIMATE),  # over units that are no slices of their own, such as labels
    }
    return document(
        "calibtool-slices",
        {
            "data": DATA,
            "calibrator": nullable(TEXT),
            "level": LEVEL,
            "tests": COUNT,
            "whole": array(ESTIMATE),
            "parts": array(record(part, ("mean",)), least=1),
            "warnings": TEXTS,
            "notes": TEXTS,
        },
        definitions=DEFINITIONS,
    )


def found_slices() -> Schema:
    """Return the schema of what `calibtool slices` finds."""
    of_slice = of_fields(FoundSlice, NUMBER, p_value=SHARE, adjusted=SHARE)
    of_slice = {"slice" if name == "name" else name: kind for name, kind in of_slice.items()}
    error = {"value": NUMBER, "by": TEXT, "slice": TEXT, "slices": COUNT, "p_value": P_VALUE}
    return document(
        "calibtool-found-slices",
        {
            "data": DATA,
            "view": one_of(("top", "positive")),
            "columns": TEXTS,
            "skipped": TEXTS,
            "tried": COUNT,
            "too_small": COUNT,
            "chosen": COUNT,
            "level": INSIDE,
            "seed": COUNT,
            "cluster": nullable(TEXT),
            "mce_slices": nullable(record(error)),
            "slices": array(record({**of_slice, "gap": FINITE})),
        },
        definitions=DEFINITIONS,
    )
