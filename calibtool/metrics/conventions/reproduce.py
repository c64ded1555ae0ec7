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
    """Return a library's numbers for these predictions, all with the same number of bins; `tick` is
    told the share that is done.

    >>> p = Predictions.from_probs([0.75, 0.25], [1, 1])
    >>> {r.metric: r.value for r in reproduce("torchmetrics", p, bins=4)}
    {'ece': 0.5, 'l2': 0.5590169943749475, 'max': 0.75}
    """
    convention, asked = named(library), _asked(predictions)
    found = []
    for metric in convention.metrics:
        found.append(_reproduced(convention, metric, asked, bins))
        tick(len(found) / len(convention.metrics))
    return tuple(found)


def spread(
    predictions: Predictions,
    *,
    bins: Iterable[int] = range(5, 101, 5),
    tick: Callable[[float], None] = silent,
) -> tuple[LibraryRange, ...]:
    """Return the ECE of every library at 15 bins, and its least and greatest over `bins`: how much
    of the number is definition. `tick` is told the share that is done."""
    bins = tuple(bins)
    found = by_bins(predictions, dict.fromkeys((DEFAULT_BINS, *bins)), tick=tick)
    return tuple(_spread(CONVENTIONS[name], values, bins) for name, values in found.items())


def by_bins(
    predictions: Predictions, bins: Iterable[int], *, tick: Callable[[float], None] = silent
) -> dict[str, dict[int, LibraryValue]]:
    """Return the ECE of every library at each number of bins. `tick` is told the share that is
    done."""
    asked, tried = _asked(predictions), tuple(bins)
    asked = replace(asked, given=in_order(asked.given))
    found: dict[str, dict[int, LibraryValue]] = {name: {} for name in CONVENTIONS}
    for done, (name, convention) in enumerate(CONVENTIONS.items()):
        for number in tried:
            found[name][number] = _reproduced(convention, convention.ece, asked, number)
            tick((done + len(found[name]) / len(tried)) / len(CONVENTIONS))
    return found


def _spread(
    convention: Convention, found: dict[int, LibraryValue], bins: tuple[int, ...]
) -> LibraryRange:
    """A row of what was found, by number of bins."""
    known = [value for value in (found[number].value for number in bins) if value is not None]
    low, high = (min(known), max(known)) if known else (None, None)
    first = found[DEFAULT_BINS]
    return LibraryRange(convention.name, convention.rule, first.view, first.value, low, high)


@dataclass(frozen=True)
class _Asked:
    """What a library would be given, and what of the predictions it would not be told."""

    given: LibraryInput
    confidences: bool = False
    weighted: bool = False


def _asked(predictions: Predictions) -> _Asked:
    """P(class 1) of one column, confidences, or whole rows; and labels, or whether the predicted
    class was right."""
    weighted = predictions.weights is not None
    if predictions.kind == "confidence":
        assert predictions.correct is not None
        given = LibraryInput(predictions.values, predictions.correct.astype(np.int64))
        return _Asked(given, confidences=True, weighted=weighted)
    if predictions.labels is None:
        raise NotAvailableError("labels are needed to measure calibration; there are none")
    values = to_probs(predictions).values
    wide = values if values.itemsize > 2 else values.astype(np.float32)
    probs = wide[:, 0] if predictions.one_column else wide
    return _Asked(LibraryInput(probs, predictions.labels), weighted=weighted)


def _reproduced(convention: Convention, metric: str, asked: _Asked, bins: int) -> LibraryValue:
    measure, view = convention.metrics[metric], ""
    try:
        measure = _of_confidence(measure) if asked.confidences else measure
        view = measure.view(asked.given.probs)
        value = measure.measure(asked.given, **({"bins": bins} if measure.takes("bins") else {}))
    except NotAvailableError as refusal:
        return LibraryValue(convention.name, metric, None, view, str(refusal))
    if math.isnan(value):
        return LibraryValue(convention.name, metric, None, view, "gives NaN")
    notes = (measure.note, "without weights" if asked.weighted else "")
    return LibraryValue(convention.name, metric, value, view, "; ".join(filter(None, notes)))


def _of_confidence(measure: LibraryMetric) -> LibraryMetric:
    """The same of confidences alone, where whole rows come down to them."""
    if measure.rows not in ("top", "top in float32", FIRST, BY_LABELS):
        raise NotAvailableError("takes whole rows of probabilities; there are confidences only")
    return replace(measure, one="confidence")
