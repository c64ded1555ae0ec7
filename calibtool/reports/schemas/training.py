"""The schemas of what training writes beside its weights."""

from __future__ import annotations

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
    record,
    whole,
)
from calibtool.reports.schemas.report import VIEW

_ENDS = ("value", "corrected", "low", "high")


def training() -> Schema:
    """Return the schema of `report.json` of a run."""
    after = [f"{name}_after" for name in _ENDS]
    numbers = dict.fromkeys((*_ENDS, *after), nullable(NUMBER))
    return document(
        "calibtool-training",
        {
            "training": {"type": "object"},  # the settings of a run; those of another loop are free
            "temperature": nullable(FINITE),
            "calibrator": TEXT,
            "notes": TEXTS,
            "metrics": array(record({"name": TEXT, "view": VIEW, **numbers}, after)),
        },
        optional=("calibrator",),
    )


def sweep() -> Schema:
    """Return the schema of `sweep.json`."""
    run = {"loss": TEXT, "seed": COUNT, "out": TEXT, "temperature": nullable(FINITE)}
    return document(
        "calibtool-sweep",
        {"runs": array({**record(run), "additionalProperties": nullable(NUMBER)}, least=1)},
    )


def gamma_search() -> Schema:
    """Return the schema of `gamma_search.json`."""
    tried = dict.fromkeys(("gamma", "nll", "ece", "accuracy"), NUMBER)
    return document(
        "calibtool-gamma-search",
        {"chosen": TEXT, "folds": whole(2), "tried": array(record(tried), least=1)},
    )
