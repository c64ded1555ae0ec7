"""Gate: requirements such as "ece <= 0.03", held against measured predictions."""

from __future__ import annotations

import math
import operator
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibtool.errors import NotAvailableError, UsageError
from calibtool.evaluation import Readable, evaluate
from calibtool.report import Estimate, Report
from calibtool.spec import Spec, parse

RELATIONS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
_REQUIREMENT = re.compile(r"\s*(.+?)\s*(<=|>=|<|>)\s*([^<>=]+?)\s*(%?)\s*", re.DOTALL)

SETTINGS = {
    "file": str,
    "calibrator": str,
    "resamples": int,
    "level": float,
    "seed": int,
    "ci": str,
}


@dataclass(frozen=True)
class Requirement:
    """A metric, a relation and a threshold."""

    spec: Spec
    relation: str
    threshold: float

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.spec.name} {self.relation} {self.threshold:g}"


@dataclass(frozen=True)
class Verdict:
    """A requirement, what was measured and whether it was met."""

    requirement: Requirement
    estimate: Estimate
    passed: bool


@dataclass(frozen=True)
class Outcome:
    """Every verdict, and the report that they rest on."""

    verdicts: tuple[Verdict, ...]
    report: Report

    @property
    def passed(self) -> bool:
        """Whether every requirement was met."""
        return all(verdict.passed for verdict in self.verdicts)


@dataclass(frozen=True)
class Config:
    """What a TOML file asks for: requirements, and options of `check` by name."""

    require: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def check(
    predictions: Readable, requirements: Iterable[str | Requirement], **options: Any
) -> Outcome:
    """Hold predictions to requirements, by the measured value.

    Args:
        predictions: what to measure.
        requirements: such as ["ece <= 0.03", "accuracy >= 90 %"].
        options: of `evaluate`. With a calibrator, what it makes of the predictions is held to them.

    Raises UsageError for none or for one that cannot be understood, NotAvailableError for a metric
    that could not be computed: that is never a pass.

    >>> from calibtool.predictions import Predictions
    >>> p = Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]], [0, 1])
    >>> check(p, ["ece <= 0.1"], ci="none").passed
    False
    """
    wanted = [parse_requirement(r) if isinstance(r, str) else r for r in requirements]
    if not wanted:
        raise UsageError(
            "nothing is required; give --require 'ece <= 0.03', or a list `require` in "
            "[tool.calibtool.check] of pyproject.toml"
        )
    report = evaluate(predictions, [requirement.spec for requirement in wanted], **options)
    measured = {e.name: e for e in report.after or report.estimates}
    verdicts = []
    for requirement in wanted:
        estimate = measured[requirement.spec.name]
        if estimate.value is None or math.isnan(estimate.value):
            raise NotAvailableError(
                f"{requirement.text}: {requirement.spec.name} could not be computed on "
                f"{report.data.source} ({estimate.missing or 'not a number'}), so it cannot pass"
            )
        met = RELATIONS[requirement.relation](estimate.value, requirement.threshold)
        verdicts.append(Verdict(requirement, estimate, met))
    return Outcome(tuple(verdicts), report)


def parse_requirement(text: str) -> Requirement:
    """A requirement from its text.

    >>> parse_requirement("ece(bins=20) <= 3 %").threshold
    0.03
    """
    match = _REQUIREMENT.fullmatch(text)
    if not match:
        raise UsageError(
            f"requirement {text!r} is not of the form METRIC <= NUMBER (or <, >=, >), "
            "such as 'ece <= 0.03'"
        )
    spec, relation, number, percent = match.groups()
    try:
        threshold = float(number) / (100 if percent else 1)
    except ValueError:
        raise UsageError(f"requirement {text!r}: {number!r} is not a number") from None
    if not math.isfinite(threshold):
        raise UsageError(f"requirement {text!r}: the threshold must be finite")
    return Requirement(parse(spec), relation, threshold)


def read_config(path: str | Path) -> Config:
    """Requirements from the table [tool.calibtool.check] of a TOML file, or [check] outside
    pyproject.toml."""
    where = str(path)
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: not valid TOML: {error}") from error
    table: Any = document
    for key in ("tool", "calibtool", "check"):
        table = table.get(key) if isinstance(table, dict) else None
    if table is None and Path(path).name != "pyproject.toml":
        table = document.get("check")
    if not isinstance(table, dict):
        raise UsageError(f"{where}: has no table [tool.calibtool.check]")
    return _config(where, dict(table))


def _config(where: str, table: dict[str, Any]) -> Config:
    require = table.pop("require", [])
    if isinstance(require, str):
        require = [require]
    if not isinstance(require, list) or not all(isinstance(item, str) for item in require):
        raise UsageError(f'{where}: `require` must be a list of texts such as "ece <= 0.03"')
    for key, value in table.items():
        if key not in SETTINGS:
            known = ", ".join(["require", *SETTINGS])
            raise UsageError(
                f"{where}: [tool.calibtool.check] has no key {key!r}; there are {known}"
            )
        wanted = (int, float) if SETTINGS[key] is float else SETTINGS[key]
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise UsageError(
                f"{where}: {key} must be of type {SETTINGS[key].__name__}, not {value!r}"
            )
    return Config(tuple(require), table)
