"""The schemas of the numbers of other libraries."""

from __future__ import annotations

from calibtool.metrics.conventions.convention import LibraryRange, LibraryValue
from calibtool.metrics.conventions.registry import CONVENTIONS
from calibtool.reports.schemas.keywords import (
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


def convention() -> Schema:
    """Return the schema of what `calibtool evaluate --as` finds."""
    return document(
        "calibtool-convention",
        {
            "source": TEXT,
            "library": one_of(CONVENTIONS),
            "library_version": TEXT,
            "metrics": array(record(of_fields(LibraryValue, NUMBER)), least=1),
        },
    )


def conventions() -> Schema:
    """Return the schema of what `calibtool evaluate --conventions` finds."""
    own = dict.fromkeys(("value", "corrected", "low", "high"), nullable(NUMBER))
    return document(
        "calibtool-conventions",
        {
            "source": TEXT,
            "own": record(own),
            "libraries": array(record(of_fields(LibraryRange, NUMBER)), least=1),
        },
    )
