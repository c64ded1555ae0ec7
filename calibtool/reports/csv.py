"""CSV: one line per record, nothing rounded."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from calibtool.formatting import csv_field
from calibtool.reports.table import Table


def render(table: Table) -> str:
    """Return the records of a table under a line of their fields' names."""
    return write(table.fields(), table.records)


def write(columns: list[str], rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows under a line of titles."""
    out = StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerow({column: csv_field(column) for column in columns})
    writer.writerows({name: csv_field(value) for name, value in row.items()} for row in rows)
    return out.getvalue()
