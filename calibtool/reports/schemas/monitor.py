"""The schemas of calibration over time: of all rows, and of slices."""

from __future__ import annotations

from calibtool.analysis.monitoring.period import ScoreRange
from calibtool.data.predictions import KIND_NAMES
from calibtool.reports.schemas.keywords import (
    COUNT,
    FLAG,
    INSIDE,
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
from calibtool.reports.schemas.report import LEVEL

_PERIOD = {
    "period": TEXT,
    "rows": COUNT,
    "said": NUMBER,
    "was": NUMBER,
    **{
        name: nullable(NUMBER)
        for name in (
            *("bias", "bias_low", "bias_high"),
            *("ece", "ece_low", "ece_high", "ece_corrected"),
        )
    },
    "log10_e": NUMBER,
    "alarm": FLAG,
}
_MONITORING = {
    "source": TEXT,
    "every": TEXT,
    "kind": one_of(KIND_NAMES),
    "view": one_of(("top", "positive")),
    "rows": COUNT,
    "against": one_of(("first", "calibrated")),
    "alpha": INSIDE,
    "level": LEVEL,
    "alarm": nullable(TEXT),
    "largest_log10_e": NUMBER,
    "change": nullable(record(dict.fromkeys(("period", "earliest", "latest"), TEXT))),
    "scores": array(record(of_fields(ScoreRange))),
    "notes": TEXTS,
    "reading": TEXT,
    "periods": array(record(_PERIOD), least=1),
}


def monitor() -> Schema:
    """Return the schema of what `calibtool monitor` finds."""
    return document("calibtool-monitor", _MONITORING)


def monitor_slices() -> Schema:
    """Return the schema of what `calibtool monitor --by` finds."""
    of_slice = {"slice": TEXT, "needed": {"type": "number", "minimum": 1}, **_MONITORING}
    return document(
        "calibtool-monitor-slices",
        {
            "by": TEXT,
            "alpha": INSIDE,
            "rows": COUNT,
            "reading": TEXT,
            "slices": array(record(of_slice), least=1),
        },
    )
