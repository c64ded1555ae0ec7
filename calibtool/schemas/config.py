"""The schema of a configuration: calibtool.toml, or what pyproject.toml has of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
    when,
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
    within = ref("check")
    for key in reversed(PATH):
        within = has(**{key: within})
    found = {"type": "object", **when(_lies_at(PATH), within, has(check=ref("check")))}
    requirement = {"type": "string", "pattern": _requirement()}
    return finished(TITLE, found, {"check": table, "requirement": requirement})


def _lies_at(path: Iterable[str]) -> Schema:
    """Return the condition that there is a table at these keys."""
    found: Schema = {}
    for key in reversed([*path]):
        found = has(**{key: found})
    return {**found, "type": "object"}


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
