"""The schema of a configuration: calibtool.toml, or what pyproject.toml has of it."""

from __future__ import annotations

import re

from calibtool.analysis.significance.registry import TESTS
from calibtool.decisions.limit import RELATIONS
from calibtool.evaluation.resampling import FEW_RESAMPLES, MOST_RESAMPLES, MOST_SEED
from calibtool.gate.config import PATH, SETTINGS
from calibtool.gate.requirement import EVIDENCE, SETS
from calibtool.metrics.registry import ALIASES, METRICS
from calibtool.schemas.keywords import (
    FLAG,
    Schema,
    array,
    finished,
    has,
    number,
    of_type,
    one_of,
    ref,
    whole,
)

TITLE = "calibtool.toml"
_NO_NUL: Schema = {"type": "string", "pattern": r"^[^\u0000]*$"}
# of the numbers whose range the reader checks too
_NUMBERS: dict[str, Schema] = {
    "resamples": {"anyOf": [{"const": 0}, whole(FEW_RESAMPLES, MOST_RESAMPLES)]},
    "level": number(1 / MOST_RESAMPLES, 1 - 1 / MOST_RESAMPLES),
    "seed": whole(0, MOST_SEED),
}


def config() -> Schema:
    """Return the schema of calibtool.toml.

    It uses no keyword that is younger than draft 7, which editors of TOML know.
    """
    require = ref("requirement")
    settings = {
        "require": {"anyOf": [require, array(require)]},
        **{key: _setting(key) for key in SETTINGS},
    }
    table: Schema = {"type": "object", "properties": settings, "additionalProperties": False}
    requirement = {"type": "string", "pattern": _requirement()}
    return finished(TITLE, _places(ref("check")), {"check": table, "requirement": requirement})


def _places(table: Schema) -> Schema:
    """Return a document that has the table at one of its two places."""
    outer, *inner = PATH
    held = table
    for key in reversed(inner):
        held = {"type": "object", "properties": {key: held}}
    needed: Schema = {}
    for key in reversed(PATH):
        needed = has(**{key: needed})
    return {
        "type": "object",
        "properties": {"check": table, outer: held},
        "anyOf": [has(check={}), needed],
    }


def _setting(key: str) -> Schema:
    kind, choices = SETTINGS[key]
    if key in _NUMBERS:
        return _NUMBERS[key]
    if choices:
        return one_of(choices)
    return {str: _NO_NUL, bool: FLAG}.get(kind) or of_type(kind)


def _requirement() -> str:
    """Return the regular expression of a requirement: what it is about, and its limit.

    Options of metrics, and which limits can be met, are for the reader to check.
    """
    names = sorted({*METRICS, *ALIASES}, key=lambda name: (-len(name), name))
    letters = {name: re.escape(name).replace(r"\-", "[-_]") for name in names}
    metric = rf"(?:{'|'.join(letters.values())})\s*(?:\(.*\))?"
    of = [
        metric,
        rf"delta\s*\(\s*{metric}\s*\)",
        rf"p\s*\(\s*(?:{'|'.join(TESTS)})\s*\)",
        rf"e\s*\(\s*(?:{'|'.join(EVIDENCE)})\s*\)",
        *SETS,
    ]
    every = "|".join(of)
    subject = rf"(?:{every}|worst\s*\(\s*(?:{every})\s+by\s+[^()]+\))"
    limit = rf"(?:{'|'.join(RELATIONS)})\s*[-+.\d][^<>=\s]*\s*%?"
    return rf"^\s*{subject}\s*{limit}\s*(?:\sby\s+.+)?$"
