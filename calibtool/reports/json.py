"""JSON: stable and versioned; docs/reference/json.md describes it. Nothing is rounded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from calibtool.formatting import json_text
from calibtool.reports.table import Table
from calibtool.version import __version__

# Formats that are not at version 1. Checks: since 2, three verdicts with margins. All that hold
# estimates: `unbiased` became `corrected`, which every estimate with an interval has. Comparisons:
# since 2, `best` is a list. Inspections: since 2, `format` is the document's, as everywhere.
VERSIONS = {
    "calibtool-report": 2,
    "calibtool-check": 3,
    "calibtool-comparison": 2,
    "calibtool-slices": 2,
    "calibtool-monitor": 2,
    "calibtool-inspection": 2,
}


def render(table: Table) -> str:
    """Return the JSON document of a table."""
    body = dict(table.body)
    if table.key:
        body[table.key] = [
            {name: finite(value) for name, value in record.items()} for record in table.records
        ]
    return document(table.kind, body)


def document(kind: str, body: Mapping[str, Any]) -> str:
    """Return a document of format `kind`, which names its version and that of calibtool."""
    head = {"format": kind, "version": VERSIONS.get(kind, 1), "calibtool": __version__}
    return json_text({**head, **body}, indent=2) + "\n"


def fields(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass, such as an estimate, as they stand in documents."""
    return {name: finite(value) for name, value in asdict(record).items()}


def finite(value: Any) -> Any:
    """Return a value that JSON can hold: infinities and NaN as "inf", "-inf" and "nan"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
