"""Other libraries' numbers for the same predictions: `--as LIBRARY` and `--conventions`.

Every library defines its own ECE. They differ in the view (which probability, which outcome), the
rule that puts a score into a bin, the norm over bins, and what is dropped or clipped on the way.
`CONVENTIONS` has one entry per library, as read in its source at the version named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.rows import to_probs
from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.convention import (
    Convention,
    LibraryMetric,
    LibraryRange,
    LibraryValue,
)
from calibtool.metrics.conventions.inputs import DEFAULT_BINS, LibraryInput, in_order
from calibtool.metrics.conventions.registry import CONVENTIONS, named
from calibtool.metrics.conventions.views import BY_LABELS, FIRST
from calibtool.types import silent


def reproduce(
    library: str,
    predictions: Predictions,
    *,
    bins: int = DEFAULT_BINS,
    tick: Callable[[float], None] = silent,
) -> tuple[LibraryValue, ...]:
    """Return a library's numbers for these predictions, all with the same number of bins.

    Args:
        library: a name of `CONVENTIONS`, or an alias.
        predictions: with labels, or confidences with correctness.
        bins: the number of bins.
        tick: called with the share of the work that is done.

    Raises UsageError for an unknown library, NotAvailableError without labels.

    >>> p = Predictions.from_probs([0.75, 0.25], [1, 1])
    >>> {r.metric: r.value for r in reproduce("torchmetrics", p, bins=4)}
    {'ece': 0.5, 'l2': 0.5590169943749475, 'max': 0.75}
    """
    convention, data = named(library), _data(predictions)
    values = []
    for metric in convention.metrics:
        values.append(_value(convention, metric, data, bins))
        tick(len(values) / len(convention.metrics))
    return tuple(values)


def spread(
    predictions: Predictions,
    *,
    bins: Iterable[int] = range(5, 101, 5),
    tick: Callable[[float], None] = silent,
) -> tuple[LibraryRange, ...]:
    """Return the ECE of every library with 15 bins, and its smallest and largest over `bins`.

    The range shows how much of the number is a matter of definition. `tick` is called with the
    share of the work that is done.
    """
    bins = tuple(bins)
    values = by_bins(predictions, dict.fromkeys((DEFAULT_BINS, *bins)), tick=tick)
    return tuple(_range(CONVENTIONS[name], of, bins) for name, of in values.items())


def by_bins(
    predictions: Predictions, bins: Iterable[int], *, tick: Callable[[float], None] = silent
) -> dict[str, dict[int, LibraryValue]]:
    """Return the ECE of every library at each number of bins: library to bins to value.

    Libraries whose number of bins is no option are left out.

    `tick` is called with the share of the work that is done.
    """
    data, numbers = _data(predictions), tuple(bins)
    data = replace(data, input=in_order(data.input))
    compared = {name: convention for name, convention in CONVENTIONS.items() if convention.ece}
    values: dict[str, dict[int, LibraryValue]] = {name: {} for name in compared}
    for done, (name, convention) in enumerate(compared.items()):
        for number in numbers:
            values[name][number] = _value(convention, convention.ece, data, number)
            tick((done + len(values[name]) / len(numbers)) / len(compared))
    return values


def _range(
    convention: Convention, values: dict[int, LibraryValue], bins: tuple[int, ...]
) -> LibraryRange:
    """Return a library's range over `bins`, of its values by number of bins."""
    known = [value for value in (values[number].value for number in bins) if value is not None]
    low, high = (min(known), max(known)) if known else (None, None)
    default = values[DEFAULT_BINS]
    return LibraryRange(convention.name, convention.rule, default.view, default.value, low, high)


@dataclass(frozen=True)
class _Data:
    """The input of a library, and how it differs from the predictions.

    Attributes:
        input: what the library sees.
        confidences: True where only confidences are known, which stand in for P(class 1).
        weighted: True where the predictions have weights, which libraries do not see.
    """

    input: LibraryInput
    confidences: bool = False
    weighted: bool = False


def _data(predictions: Predictions) -> _Data:
    """Return P(class 1) of one column, confidences, or whole rows; with labels or correctness."""
    weighted = predictions.weights is not None
    if predictions.kind == "confidence":
        assert predictions.correct is not None
        confidences = LibraryInput(predictions.values, predictions.correct.astype(np.int64))
        return _Data(confidences, confidences=True, weighted=weighted)
    if predictions.labels is None:
        raise NotAvailableError("labels are needed to measure calibration; there are none")
    values = to_probs(predictions).values
    wide = values if values.itemsize > 2 else values.astype(np.float32)  # no library takes float16
    probs = wide[:, 0] if predictions.one_column else wide
    return _Data(LibraryInput(probs, predictions.labels), weighted=weighted)


def _value(convention: Convention, name: str, data: _Data, bins: int) -> LibraryValue:
    """Return a library's metric of this name; without a value, `note` says why."""
    metric, view = convention.metrics[name], ""
    try:
        metric = _of_confidence(metric) if data.confidences else metric
        view = metric.view(data.input.probs)
        value = metric.measure(data.input, **({"bins": bins} if metric.takes("bins") else {}))
    except NotAvailableError as refusal:
        return LibraryValue(convention.name, name, None, view, str(refusal))
    if math.isnan(value):
        return LibraryValue(convention.name, name, None, view, "gives NaN")
    notes = (metric.note, "without weights" if data.weighted else "")
    return LibraryValue(convention.name, name, value, view, "; ".join(filter(None, notes)))


def _of_confidence(metric: LibraryMetric) -> LibraryMetric:
    """Return the metric for confidences alone, where it only looks at those of whole rows."""
    if metric.rows not in ("top", "top in float32", FIRST, BY_LABELS):
        raise NotAvailableError("needs whole rows of probabilities; only confidences are known")
    return replace(metric, one="confidence")
