"""The schema of a configuration: calibtool.toml, or its table in pyproject.toml.

It uses no keyword that is younger than draft 7, which editors of TOML know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from calibtool.analysis.significance.registry import TESTS
from calibtool.decisions.limit import RELATIONS
from calibtool.evaluation.resampling import FEW_RESAMPLES, MOST_RESAMPLES, MOST_SEED
from calibtool.gate.config import PATH, SETTINGS
from calibtool.gate.requirement import EVIDENCE, SETS
from calibtool.metrics.registry import ALIASES, METRICS
from calibtool.reports.schemas.keywords import (
    FLAG,
    LIMIT,
    TEXT,
    Schema,
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
    """Return the schema of calibtool.toml."""
    requirement = [ref("requirement")]
    # one text, or a list of them: what is wrong in a list is then shown at its item
    items = {**TEXT, "allOf": requirement}
    require = {"type": ["string", "array"], "allOf": requirement, "items": items}
    settings = {"require": require, **{key: _setting(key) for key in SETTINGS}}
    table = {"type": "object", "properties": settings, "additionalProperties": False}
    definitions = {"check": table, "requirement": _requirement()}
    return finished(TITLE, _places(ref("check")), definitions)


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


def _requirement() -> Schema:
    """Return the forms of a requirement: of a metric, of a test, of evidence.

    Options of metrics, and which limits can be met, are for the reader to check.
    """
    metrics = _any_case([*METRICS, *ALIASES])
    forms = (
        (rf"(?:(?:delta\s*\(\s*)?(?:{metrics})|{'|'.join(SETS)})(?:[\s()][^<>]*)?", RELATIONS),
        (rf"p\s*\(\s*(?:{'|'.join(TESTS)})\s*\)[^<>]*", (">=", ">")),
        (rf"e\s*\(\s*(?:{'|'.join(EVIDENCE)})\s*\)\s*", ("<=", "<")),
    )
    patterns = [
        rf"^\s*(?:worst\s*\(\s*)?{subject}(?:{'|'.join(relations)})\s*{LIMIT}\s*(?:\sby\s+.+)?$"
        for subject, relations in forms
    ]
    return {"anyOf": [{"pattern": pattern} for pattern in patterns]}


def _any_case(names: Iterable[str]) -> str:
    """Return a regular expression of names of metrics, whose case does not matter, and in which _
    stands for - too.

    >>> _any_case(["o:e", "nll-2"])
    '[oO]:[eE]|[nN][lL][lL][-_]2'
    """
    letters = {"-": "[-_]"}

    def of(letter: str) -> str:
        return letters.get(letter) or (
            f"[{letter}{letter.upper()}]" if letter.isalpha() else re.escape(letter)
        )

    return "|".join("".join(map(of, name)) for name in names)
