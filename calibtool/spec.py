"""Spec strings: "ece(bins=20)" to a metric with its options, and back.

The same string is the command's argument, the report's key, the table's first column and the JSON
key. Options of a calibration error are its `view`, `profile` and `norm`, and the keyword-only
arguments of the profile rule; options of a score are those of its function.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from calibtool.cells import Cells
from calibtool.checks import Array
from calibtool.errors import UsageError
from calibtool.metrics import (
    DEFAULT,
    METRICS,
    NORMS,
    PROFILES,
    VIEWS,
    CalibrationError,
    Metric,
    Score,
)
from calibtool.metrics.profiles import Profile
from calibtool.views import Rows

_SPEC = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """A metric with its options settled.

    Attributes:
        name: the canonical spec string: the metric's name, and what differs from its defaults.
        metric: its line in the table.
        view, profile, norm: for a calibration error; a view of "auto" is settled by the data.
        options: keyword arguments of the profile rule or of the score's function.
    """

    name: str
    metric: Metric
    view: str = ""
    profile: str = ""
    norm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether this is a calibration error rather than a score."""
        return isinstance(self.metric, CalibrationError)

    def edges(self, cells: Cells) -> Array:
        """Upper edges of the bins, by the profile rule on the observed cells."""
        return PROFILES[self.profile](cells, **self.options)

    def value(self, profile: Profile) -> Array:
        """The error of a profile; classes, if there are any, are averaged."""
        per_class = NORMS[self.norm](profile)
        return per_class.mean(axis=-1) if self.view == "class" else per_class

    def rows(self, rows: Rows) -> Array:
        """A score's value a row."""
        assert isinstance(self.metric, Score)
        return self.metric.rows(rows, **self.options)

    def signature(self) -> str:
        """The part of a number's signature that is the metric's own."""
        if not self.is_error:
            return self.name
        options = [f"{key}:{value}" for key, value in self.options.items()]
        rule = [f"profile:{self.profile}", "edge:right", f"norm:{self.norm}"]
        return "|".join([self.metric.name, f"view:{self.view}", *options, *rule])


def parse_list(specs: str | Iterable[str | Spec]) -> list[Spec]:
    """Specs from "ece(bins=20),nll" or a list of such; "default" is the default table.

    All mistakes are reported together.

    >>> [spec.name for spec in parse_list("ece(bins=20),nll")]
    ['ece(bins=20)', 'nll']
    """
    texts = _split(specs) if isinstance(specs, str) else list(specs)
    parsed: dict[str, Spec] = {}
    mistakes = []
    for text in texts:
        for part in DEFAULT if text == "default" else (text,):
            try:
                spec = part if isinstance(part, Spec) else parse(part)
                parsed.setdefault(spec.name, spec)
            except UsageError as mistake:
                mistakes.append(str(mistake))
    if mistakes:
        raise UsageError("\n".join(mistakes))
    if not parsed:
        raise UsageError("no metrics were asked for; `calibtool metrics` lists them")
    return list(parsed.values())


def parse(text: str) -> Spec:
    """One spec string.

    >>> parse("ece(norm=l2, bins=10)").options
    {'bins': 10}
    """
    match = _SPEC.fullmatch(text)
    if not match:
        raise UsageError(f"metric {text!r} is not of the form NAME or NAME(OPTION=VALUE, ...)")
    name, body = match[1].lower().replace("_", "-"), match[2] or ""
    if name not in METRICS:
        raise UsageError(f"there is no metric {name!r}{near(name, METRICS)}")
    given = {}
    for item in _split(body):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"{text!r}: {item!r} is not OPTION=VALUE")
        if key in given:
            raise UsageError(f"{text!r}: {key} is given twice")
        given[key] = value
    return _settle(text, METRICS[name], given)


def near(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name."""
    close = difflib.get_close_matches(name, list(known), n=3)
    listed = ", ".join(close or list(known))
    return f"; did you mean {listed}?" if close else f"; there are {listed}"


def _settle(text: str, metric: Metric, given: dict[str, str]) -> Spec:
    if isinstance(metric, Score):
        options, shown = _options(text, metric.rows, given)
        return Spec(_name(metric, shown), metric, options=options)
    choices = {"view": ("auto", *VIEWS), "profile": PROFILES, "norm": NORMS}
    chosen = {}
    shown = {}
    for key, table in choices.items():
        own = getattr(metric, key)
        value = given.pop(key, own).replace("-", "_")
        if value not in table:
            raise UsageError(f"{text!r}: there is no {key} {value!r}{near(value, table)}")
        chosen[key] = value
        if value != own:
            shown[key] = value
    if chosen["view"] == "class" and chosen["profile"] != "equal_width":
        raise UsageError(f"{text!r}: the class view is measured on equal_width bins only")
    options, extra = _options(text, PROFILES[chosen["profile"]], given)
    return Spec(_name(metric, shown | extra), metric, options=options, **chosen)


def _options(
    text: str, function: Any, given: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All options of a function with their values, and those that are not its defaults."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for key in given:
        if key not in defaults:
            known = near(key, defaults) if defaults else "; it takes no options"
            raise UsageError(f"{text!r}: there is no option {key!r}{known}")
    options = {
        key: _number(text, key, given[key], default) if key in given else default
        for key, default in defaults.items()
    }
    return options, {key: value for key, value in options.items() if value != defaults[key]}


def _number(text: str, key: str, value: str, default: Any) -> Any:
    if not isinstance(default, (int, float)):
        return value
    try:
        number = type(default)(value)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise UsageError(f"{text!r}: {key} must be {kind}, not {value!r}") from None
    if key == "bins" and not 1 <= number <= 100_000:
        raise UsageError(f"{text!r}: bins must lie between 1 and 100,000, not {value}")
    return number


def _name(metric: Metric, options: Mapping[str, Any]) -> str:
    inside = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{metric.name}({inside})" if inside else metric.name


def _split(text: str) -> list[str]:
    """Items between commas that stand outside parentheses."""
    items = re.split(r",(?![^(]*\))", text)
    return [item.strip() for item in items if item.strip()]
