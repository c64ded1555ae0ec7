"""The table of a calibrator: what it does and how it was fitted."""

from __future__ import annotations

from calibtool.calibrators.calibrator import Calibrator
from calibtool.formatting import number
from calibtool.reports.table import Table


def table(calibrator: Calibrator, width: int | None) -> Table:
    """Return a row per property; the JSON document is the calibrator's file."""
    fitted = calibrator.fitted
    shown = {
        "method": calibrator.method,
        "classes": f"{calibrator.classes:,}" if calibrator.classes else "",
        "fitted on": f"{fitted.rows:,} rows" if fitted.rows else "",
        "options": ", ".join(f"{name}={value}" for name, value in fitted.options.items()),
        "NLL before": number(fitted.nll_before),
        "NLL after": number(fitted.nll_after),
    }
    document = calibrator.document()
    return Table(
        kind=document["format"],
        head=calibrator.describe(),
        titles=("property", "value"),
        cells=[[name, text] for name, text in shown.items() if text],
        records=[
            {
                "method": calibrator.method,
                "classes": calibrator.classes,
                "rows": fitted.rows,
                "nll_before": fitted.nll_before,
                "nll_after": fitted.nll_after,
            }
        ],
        key="",
        notes=[
            *(["The NLL is that of the rows it was fitted on."] if fitted.nll_after else []),
            *fitted.notes,
        ],
        body=document,
        left=("value",),
    )
