"""Spec strings: "ece(bins=20)" to a metric with its options, and back.

The same string is the argument of the command, the key of a report, the first column of a table and
the name in JSON. Options of a binned error are its `view`, `profile` and `norm`, and the
keyword-only arguments of the profile rule; options of other metrics are the keyword-only arguments
of their functions, and `view` where they have one.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args, get_type_hints

import numpy as np

from calibtool.data.rows import Rows
from calibtool.errors import UsageError, near
from calibtool.formatting import Lines
from calibtool.metrics.cells import Cells
from calibtool.metrics.grammar import ESTIMATES, FIXED, NORMS, PROFILES, VIEWS
from calibtool.metrics.kinds import (
    BinnedError,
    CellMetric,
    CountMetric,
    MatrixMetric,
    Metric,
    Score,
    TwoFileMetric,
)
from calibtool.metrics.profiles import Profile
from calibtool.metrics.registry import ALIASES, BY_DEFAULT, MEANT, METRICS, SETS, canonical
from calibtool.types import Array

_SPEC = re.compile(r"\s*([A-Za-z][\w:-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)
ONE_SCORE = ("top", "positive")  # the views with one score per row
# Smallest and largest value of each option, in all metrics. They keep out values that mean nothing
# and computations that would never end.
RANGES: dict[str, tuple[float, float]] = {
    "bins": (1, 100_000),
    "rows": (1, 1_000_000),
    "groups": (3, 100_000),
    "k": (1, 1_000_000),
    "order": (1, 2),
    "threshold": (0, 1),
    "coverage": (1e-6, 1),
    "risk": (0, 1),
    "rejected": (0.01, 1),
    "width": (1e-4, 1e4),
    "bandwidth": (0, 10),
    "span": (0.02, 1),
    "degree": (1, 2),
}


@dataclass(frozen=True)
class Spec:
    """A metric with its options.

    Attributes:
        name: the canonical spec string: the metric's name and the options that differ from their
            defaults.
        metric: its entry in the table.
        view: the view, for metrics that have one; "auto", "ranks" and "clinical" depend on the
            data and are replaced by `resolve_view`.
        profile, norm: of a binned calibration error; "" otherwise.
        options: keyword arguments of the profile rule or of the metric's function.
        without: the class that the mean over classes of a binned error leaves out, such as the
            background of images; None for all classes.
        by_default: whether it is measured unasked, so that the shape of the data may choose its
            view, and the name say so.
        alias: the other name by which the metric was asked for, or "".
    """

    name: str
    metric: Metric
    view: str = ""
    profile: str = ""
    norm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    without: int | None = None
    by_default: bool = field(default=False, compare=False)
    alias: str = field(default="", compare=False)

    @property
    def is_error(self) -> bool:
        """True for a calibration error: 0 at best, and pushed up by noise."""
        metric = self.metric
        return isinstance(metric, BinnedError) or (isinstance(metric, CellMetric) and metric.error)

    @property
    def limits(self) -> tuple[float, float]:
        """The range of the metric with these options, (least, most).

        >>> parse("mcb").limits, parse("mcb(score=log)").limits
        ((0.0, 1.0), (0.0, inf))
        """
        metric = self.metric
        if metric.limits is not None:
            return metric.limits(**self.options)
        return float(metric.least), float(metric.most)

    def clip(self, value: float) -> float:
        """Return a value brought into the range of the metric.

        The last digit of a mean of values in [0, 1] may lie outside of it, and so may the end of an
        interval that knows nothing of the range.
        """
        least, most = self.limits
        return min(max(value, least), most)

    @property
    def is_curve(self) -> bool:
        """True for a metric of the cells of a view that is no norm of the gaps of bins."""
        return isinstance(self.metric, CellMetric) and self.metric.edges is None

    @property
    def counterpart(self) -> Spec | None:
        """The metric of `CellMetric.counterpart` with the same options, or None."""
        if not isinstance(self.metric, CellMetric) or not self.metric.counterpart:
            return None
        name = self.metric.counterpart
        options = self.name.removeprefix(self.metric.name)
        return replace(self, name=name + options, metric=METRICS[name])

    @property
    def one_edge_for_all(self) -> bool:
        """True for a binned error whose edges do not depend on the data."""
        return self.profile in FIXED

    def edges(self, cells: Cells) -> Array:
        """Return the upper edges of the bins, by the profile rule on the observed cells."""
        if isinstance(self.metric, CellMetric):
            assert self.metric.edges is not None
            return self.metric.edges(cells, **self.options)
        return PROFILES[self.profile](cells, **self.options)

    def of_profile(self, profile: Profile, *, truth: bool = False) -> Array:
        """Return the binned error of a profile: in the class view the mean of those of the classes,
        in the label view that of the bins of all predicted classes as one profile.

        Args:
            profile: (..., bins), or (..., classes, bins) in the class and label views.
            truth: True for a profile without noise; then return what the error estimates.
        """
        if isinstance(self.metric, CellMetric):
            return self._of_problems(profile)
        if self.view == "class":
            return self.mean_of_classes(self.of_bins(profile, truth=truth))
        return self.of_bins(profile.flat() if self.view == "label" else profile, truth=truth)

    def of_bins(self, profile: Profile, *, truth: bool = False) -> Array:
        """Return the binned error of the bins along the last axis of a profile."""
        return NORMS[ESTIMATES.get(self.norm, self.norm) if truth else self.norm](profile)

    def mean_of_classes(self, errors: Array) -> Array:
        """Return the mean of errors of classes, along the last axis, but for `without`."""
        some = errors if self.without is None else np.delete(errors, self.without, axis=-1)
        return np.asarray(some.mean(axis=-1))

    def _of_problems(self, profile: Profile) -> Array:
        """Return a `CellMetric` of a profile, (..., problems, bins): the mean over the problems;
        over predicted classes, weighted by their shares of the rows."""
        assert isinstance(self.metric, CellMetric)
        assert self.metric.of_profile is not None
        values = self.metric.of_profile(profile, **self.options)
        if self.view != "label":
            return np.asarray(values.mean(axis=-1))
        shares = profile.mass.sum(axis=-1)
        return np.asarray((values * shares).sum(axis=-1) / shares.sum(axis=-1))

    def of_cells(self, cells: Cells) -> Array:
        """Return a `CellMetric` of the cells of one class, or of all rows."""
        assert isinstance(self.metric, CellMetric)
        return self.metric.of(cells, **self.options)

    def settled(self, cells: Cells) -> Spec:
        """Return the spec with data-dependent options replaced by their values on these cells."""
        if not isinstance(self.metric, CellMetric) or self.metric.settle is None:
            return self
        return replace(self, options=self.metric.settle(cells, **self.options))

    def of_truth(self, cells: Cells) -> Array:
        """Return what a `CellMetric` estimates, of cells whose outcomes are their true rates."""
        assert isinstance(self.metric, CellMetric)
        return (self.metric.target or self.metric.of)(cells, **self.options)

    @property
    def is_mean(self) -> bool:
        """True for a metric that is the mean of one value per row, `of_rows`, of these rows
        alone."""
        metric = self.metric
        if isinstance(metric, Score):
            return "refined" not in metric.needs
        if not isinstance(metric, CellMetric) or metric.by_row is None:
            return False
        answer = metric.by_row(*np.zeros((2, 0)), **self.options)
        return self.view in ONE_SCORE and answer is not None

    @property
    def cuts(self) -> tuple[float, ...]:
        """Scores at which the metric jumps, within (0, 1)."""
        if not isinstance(self.metric, CellMetric) or self.metric.cuts is None:
            return ()
        return tuple(x for x in self.metric.cuts(**self.options) if 0 < x < 1)

    def of_rows(self, rows: Rows) -> Array:
        """Return one value per row, (N,), of a metric that is their mean."""
        if isinstance(self.metric, CellMetric):
            assert self.metric.by_row is not None
            return np.asarray(self.metric.by_row(*rows.view(self.view), **self.options))
        assert isinstance(self.metric, Score)
        if not self.view:
            return self.metric.rows(rows, **self.options)
        assert self.metric.of_view is not None
        return self.metric.of_view(rows, self.view, **self.options)

    def of_shift(self, cells: Cells, gap: float) -> float:
        """Return a `CellMetric` where all rates lie `gap` off the scores; 0 where it has no rule
        for that."""
        assert isinstance(self.metric, CellMetric)
        shifted = self.metric.shifted
        return float(shifted(cells, gap, **self.options)) if shifted else 0.0

    def signature(self) -> str:
        """Return the metric's part of a number's signature, such as "ece|view:top|bins:15"."""
        options = [f"{key}:{value}" for key, value in self.options.items()]
        options += [] if self.without is None else [f"without:{self.without}"]
        if not self.view:
            # a Brier score of two classes and one of more differ in what they add up
            return "|".join([self.metric.name, *options]) if "scale" in self.options else self.name
        rule = (
            [f"profile:{self.profile}", "edge:right", f"norm:{self.norm}"] if self.profile else []
        )
        return "|".join([self.metric.name, f"view:{self.view}", *options, *rule])


def parse_list(specs: str | Iterable[str | Spec]) -> list[Spec]:
    """Parse "ece(bins=20),nll" or a list of specs; names of sets ("all") stand for their metrics.

    Raises UsageError with all mistakes together.

    >>> [spec.name for spec in parse_list("ece(bins=20),nll")]
    ['ece(bins=20)', 'nll']
    """
    texts = split_options(specs) if isinstance(specs, str) else list(specs)
    parsed: dict[str, Spec] = {}
    mistakes = []
    for text in texts:
        for item in SETS.get(text, (text,)) if isinstance(text, str) else (text,):
            try:
                spec = item if isinstance(item, Spec) else parse(item)
                spec = replace(spec, by_default=True) if text in BY_DEFAULT else spec
                parsed.setdefault(spec.name, spec)
            except UsageError as mistake:
                mistakes.append(str(mistake))
    if mistakes:
        raise UsageError(Lines.of(mistakes))
    if not parsed:
        raise UsageError("no metrics were given; `calibtool metrics` lists them")
    return list(parsed.values())


def parse(text: str) -> Spec:
    """Parse one spec string. Raises UsageError where it is not one.

    >>> parse("ece(norm=l2, bins=10)").options
    {'bins': 10}
    >>> parse("cutoff-ce").name
    'kuiper'
    """
    match = _SPEC.fullmatch(text)
    if not match:
        raise UsageError(f"metric {text!r} is not of the form NAME or NAME(OPTION=VALUE, ...)")
    given, body = match[1].lower().replace("_", "-"), match[2] or ""
    name = canonical(given)
    if name not in METRICS:
        raise UsageError(f"there is no metric {name!r}{_near_metric(name)}")
    options = {}
    for item in split_options(body):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"{text!r}: {item!r} is not OPTION=VALUE")
        if key in options:
            raise UsageError(f"{text!r}: {key} is given twice")
        options[key] = value
    spec = _spec(text, METRICS[name], options)
    return replace(spec, alias=given) if given != name else spec


def _near_metric(name: str) -> str:
    """Return a hint: metrics whose names are similar or contain `name`, else where to find all."""
    close = difflib.get_close_matches(MEANT.get(name, name), [*METRICS, *ALIASES, *SETS], n=3)
    close += [other for other in METRICS if name in other and other not in close][:3]
    if close:
        return f"; did you mean {', '.join(close)}?"
    return f"; `calibtool metrics` lists them; sets are {', '.join(SETS)}"


def _spec(text: str, metric: Metric, raw: dict[str, str]) -> Spec:
    """Return the spec of a metric with the options in `raw`, as strings."""
    if isinstance(metric, Score) and metric.of_view and "view" in raw:
        view = _chosen(text, "view", raw.pop("view"), ONE_SCORE)
        options, extra = _options(text, metric.of_view, raw)
        return Spec(_name(metric, {"view": view} | extra), metric, view, options=options)
    if isinstance(metric, Score | CountMetric | MatrixMetric | TwoFileMetric):
        function: Callable[..., Any] = metric.of if not isinstance(metric, Score) else metric.rows
        if isinstance(metric, TwoFileMetric):
            function = metric.scores
        options, shown = _options(text, function, raw)
        return Spec(_name(metric, shown), metric, options=options)
    if isinstance(metric, CellMetric):
        view = _chosen(text, "view", raw.pop("view", metric.view), (metric.view, *VIEWS))
        options, extra = _options(text, metric.of, raw)
        shown = ({"view": view} if view != metric.view else {}) | extra
        return Spec(_name(metric, shown), metric, view, options=options)
    choices = {"view": ("auto", *VIEWS), "profile": PROFILES, "norm": NORMS}
    chosen: dict[str, str] = {}
    shown = {}
    for key, table in choices.items():
        default = getattr(metric, key)
        value = _chosen(text, key, raw.pop(key, default), table)
        chosen[key] = value
        if value != default:
            shown[key] = value
    without = _without(text, chosen["view"], raw.pop("without", None))
    options, extra = _options(text, PROFILES[chosen["profile"]], raw)
    extra |= {} if without is None else {"without": without}
    view, profile, norm = chosen.values()
    return Spec(_name(metric, shown | extra), metric, view, profile, norm, options, without)


def _without(text: str, view: str, value: str | None) -> int | None:
    """Return the class that the mean over the classes leaves out, or None."""
    if value is not None and view != "class":
        raise UsageError(f"{text!r}: without, of the mean over classes, needs view=class")
    if value is not None and not value.isdecimal():
        raise UsageError(f"{text!r}: without must be the number of a class, from 0, not {value!r}")
    return None if value is None else int(value)


def _chosen(text: str, key: str, value: str, known: Iterable[str]) -> str:
    """Return a choice, which may be spelled with - for _."""
    name = value.replace("-", "_")
    if name not in known:
        raise UsageError(f"{text!r}: there is no {key} {value!r}{near(name, known)}")
    return name


def _options(
    text: str, function: Callable[..., Any], raw: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all options of a function with their values, and those that are not defaults."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for key in raw:
        if key not in defaults:
            known = near(key, defaults) if defaults else "; it takes no options"
            raise UsageError(f"{text!r}: there is no option {key!r}{known}")
    if not raw:
        return defaults, {}
    choices = {name: get_args(hint) for name, hint in get_type_hints(function).items()}
    options = {
        key: _value(text, key, raw[key], default, choices.get(key, ())) if key in raw else default
        for key, default in defaults.items()
    }
    return options, {key: value for key, value in options.items() if value != defaults[key]}


def _value(text: str, key: str, value: str, default: Any, choices: tuple[str, ...]) -> Any:
    """Return an option's value: a number of the default's type, within its range, or a choice."""
    if not isinstance(default, (int, float)):
        return _chosen(text, key, value, choices)
    try:
        number = type(default)(value)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise UsageError(f"{text!r}: {key} must be {kind}, not {value!r}") from None
    low, high = RANGES.get(key, (-math.inf, math.inf))
    if not low <= number <= high:
        raise UsageError(f"{text!r}: {key} must lie between {low:,g} and {high:,.0f}, not {value}")
    return number


def _name(metric: Metric, options: Mapping[str, Any]) -> str:
    """Return the spec string of a metric with these options."""
    inside = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{metric.name}({inside})" if inside else metric.name


def split_options(text: str) -> list[str]:
    """Return the items between commas that stand outside parentheses."""
    return [item for part in re.split(r",(?![^(]*\))", text) if (item := part.strip())]
