"""The schemas of decisions: thresholds and costs, prediction sets and what was measured of them."""

from __future__ import annotations

from calibtool.data.predictions import KIND_NAMES, DataInfo
from calibtool.decisions import sets_file, threshold_file
from calibtool.decisions.cost_report import Cost
from calibtool.decisions.costs import DEAREST
from calibtool.decisions.point import Lacking, Share
from calibtool.decisions.set_scores import METHODS, MOST_PENALTY, RANDOMIZED
from calibtool.decisions.target import SUBJECTS
from calibtool.evaluation.resampling import MOST_SEED
from calibtool.reports.schemas import calibrator
from calibtool.reports.schemas.keywords import (
    COUNT,
    FINITE,
    FLAG,
    INSIDE,
    LIMIT,
    NULL,
    NUMBER,
    SHARE,
    TEXT,
    TEXTS,
    Schema,
    array,
    document,
    has,
    mapping,
    nullable,
    number,
    of_fields,
    one_of,
    record,
    when,
    whole,
)
from calibtool.reports.schemas.report import DATA, DEFINITIONS, ESTIMATE, P_VALUE

_TARGETS = "|".join(rf"{name}\s*{subject.relation}" for name, subject in SUBJECTS.items())
_TARGET: Schema = {"type": "string", "pattern": rf"^\s*(?:{_TARGETS})\s*{LIMIT}\s*$"}
_NAMES = nullable(array(TEXT, least=2))
_COST = number(0, DEAREST)
_COSTS = record({"cost": mapping(mapping(_COST)), "reject": nullable(_COST)})
_COSTS["additionalProperties"] = False


def threshold() -> Schema:
    """Return the schema of a threshold's file, and of the document where there is no threshold."""
    line = nullable(SHARE)
    share = record(of_fields(Share, share=SHARE))
    point = {
        "group": TEXT,
        "level": SHARE,
        "accepted": share,
        "rest": share,
        "lacking": nullable(record(of_fields(Lacking))),
    }
    data = of_fields(DataInfo, rows=whole(1), kind=one_of(KIND_NAMES))
    chosen = record({**data, "fingerprint": TEXT, "notes": TEXTS, "calibtool": TEXT}, ("unit",))
    one = has(threshold={"type": "number"})
    one_of_groups = has(threshold={"type": "object", "not": mapping(NULL)})
    found = {"anyOf": [one, one_of_groups]}
    return document(
        threshold_file.FORMAT,
        {
            "target": _TARGET,
            "delta": INSIDE,
            "threshold": {"anyOf": [line, mapping(line, least=1)]},
            "accepts": TEXT,
            "promise": TEXT,
            "by": TEXTS,
            "classes": nullable(whole(2)),
            "class_names": _NAMES,
            "question": nullable(TEXT),
            "points": array(record(point), least=1),
            "costs": nullable(_COSTS),
            "calibrator": nullable(calibrator.CALIBRATOR),
            "chosen": chosen,
            "why": TEXTS,
        },
        optional=("calibtool", "why"),
        versions=range(1, threshold_file.VERSION + 1),
        definitions=calibrator.definitions(),
        rules=[
            when(
                has(by=array(TEXT, least=1)),
                has(threshold={"type": "object"}),
                has(threshold={"type": ["number", "null"]}),
            ),
            when(found, {}, has(why=array(TEXT, least=1))),
        ],
    )


def costs() -> Schema:
    """Return the schema of what decisions cost."""
    cost = record(of_fields(Cost, NUMBER))
    return document(
        "calibtool-costs",
        {
            "data": DATA,
            "source": TEXT,
            "costs": array(cost, least=1),
            "gains": array(cost),
            "constant": TEXT,
            "calibrator": nullable(TEXT),
            "notes": TEXTS,
        },
        definitions=DEFINITIONS,
    )


def sets() -> Schema:
    """Return the schema of a file of prediction sets, and of the document that has their promise
    too."""
    promise = {
        "class": TEXT,
        "rows": COUNT,
        "threshold": FINITE,
        "rank": COUNT,
        "level": INSIDE,
        "next_rows": COUNT,
        **dict.fromkeys(("coverage", "own_low", "own_high", "next_low", "next_high"), SHARE),
    }
    fitted = {"kind": one_of(("logits", "probs")), "fingerprint": TEXT, "notes": TEXTS}
    return document(
        sets_file.FORMAT,
        {
            "method": one_of(METHODS),
            "coverage": INSIDE,
            "per_class": FLAG,
            "randomized": FLAG,
            "seed": whole(0, MOST_SEED),
            "penalty": number(0, MOST_PENALTY),
            "k_reg": COUNT,
            "classes": whole(2),
            "class_names": _NAMES,
            "quantiles": array({"type": "number", "minimum": 0}, least=1),
            "rows": array(whole(1), least=1),
            "fitted": record({**fitted, "calibtool": TEXT}),
            "calibrator": nullable(calibrator.CALIBRATOR),
            "promise": array(record(promise), least=1),
        },
        optional=("calibtool", "promise"),
        versions=range(1, sets_file.VERSION + 1),
        definitions=calibrator.definitions(),
        rules=[
            when(has(method={"not": one_of(RANDOMIZED)}), has(randomized={"const": False})),
            when(
                has(per_class={"const": False}),
                {"properties": {name: {"maxItems": 1} for name in ("quantiles", "rows")}},
            ),
        ],
    )


def set_report() -> Schema:
    """Return the schema of what `calibtool evaluate --sets` finds."""
    part = {
        "by": TEXT,
        "name": TEXT,
        "rows": COUNT,
        **dict.fromkeys(("coverage", "low", "high"), nullable(SHARE)),
        "size": FINITE,
        "empty": SHARE,
        "single": SHARE,
    }
    return document(
        "calibtool-set-report",
        {
            "data": DATA,
            "sets": TEXT,
            "promised": INSIDE,
            "per_class": FLAG,
            "level": INSIDE,
            "coverage": ESTIMATE,
            "size": ESTIMATE,
            "empty": SHARE,
            "single": SHARE,
            "single_right": nullable(SHARE),
            "expected_low": nullable(SHARE),
            "expected_high": nullable(SHARE),
            "p_value": P_VALUE,
            "worst_class": nullable(TEXT),
            **dict.fromkeys(("classes", "sizes", "groups"), array(record(part))),
            "notes": TEXTS,
        },
        definitions=DEFINITIONS,
    )
