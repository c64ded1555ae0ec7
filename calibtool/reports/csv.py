"""CSV: one line per record, nothing rounded."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from calibtool.reports.table import Table


def render(table: Table) -> str:
    """Return the records of a table under a line of their fields' names."""
    return write(table.fields(), table.records)


def write(columns: list[str], rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows under a line of titles."""
    out = StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
