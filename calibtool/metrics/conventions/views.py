"""Views: which scores and outcomes a number is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.inputs import LibraryInput, Of

FIRST = "positive or top"  # of a library of one column: P(class 1), or confidence and correctness
BY_LABELS = "positive of two labels, else top"
FOLDED = "top, class 1 at 0.5"
UNFOLDED = "P(class 1) against a right decision"
FLAT = "all columns as one"


def positive(of: Of, given: LibraryInput) -> float:
    """P(class 1) and whether it is class 1."""
    p = given.probs
    return of(p if p.ndim == 1 else p[:, 1], given.labels == 1)


def _top(of: Of, given: LibraryInput) -> float:
    return of(*given.top)


def _top_single(of: Of, given: LibraryInput) -> float:
    confidence, correct = given.top
    return of(confidence.astype(np.float32, copy=False), correct)


def _by_labels(of: Of, given: LibraryInput) -> float:
    """P(class 1) where at most two distinct labels occur, else the top label."""
    if given.few and given.probs.ndim == 2 and given.probs.shape[1] > 2:
        raise NotAvailableError("raises RuntimeError: two distinct labels of more classes")
    return (positive if given.few else _top)(of, given)


def _folded(of: Of, given: LibraryInput) -> float:
    """Top label, where 0.5 predicts class 1."""
    p, outcome = given.probs, given.labels == 1
    return of(np.where(p >= 0.5, p, 1 - p), (p >= 0.5) == outcome)


def _unfolded(of: Of, given: LibraryInput) -> float:
    """P(class 1), but whether the class it points to is the label."""
    return of(given.probs, (given.probs > 0.5) == (given.labels == 1))


def _per_class(of: Of, given: LibraryInput, classes: int | None = None) -> list[float]:
    return [of(column, given.labels == k) for k, column in enumerate(given.columns[:classes])]


def class_mean(of: Of, given: LibraryInput) -> float:
    """Mean over classes."""
    return float(np.mean(_per_class(of, given)))


def class_rms(of: Of, given: LibraryInput) -> float:
    """Root of the mean square over classes."""
    return float(np.sqrt(np.mean(np.square(_per_class(of, given)))))


def _class_seen(of: Of, given: LibraryInput) -> float:
    """Mean over the classes up to the highest label."""
    return float(np.mean(_per_class(of, given, given.labels.max() + 1)))


def _predicted(of: Of, given: LibraryInput) -> float:
    """Mean over the classes predicted at all, whatever their share."""
    confidence, correct = given.top
    members = [given.predicted == k for k in np.unique(given.predicted)]
    return float(np.mean([of(confidence[own], correct[own]) for own in members]))


def flat(of: Of, given: LibraryInput) -> float:
    """Every column beside whether it is the label."""
    rows = given.rows
    return of(rows.ravel(), (given.labels[:, None] == np.arange(rows.shape[1])).ravel())


VIEWS: Mapping[str, Callable[[Of, LibraryInput], float]] = {
    "positive": positive,
    "top": _top,
    "top in float32": _top_single,
    BY_LABELS: _by_labels,
    FOLDED: _folded,
    UNFOLDED: _unfolded,
    "confidence": positive,
    "class": class_mean,
    "class, root mean square": class_rms,
    "class, up to the highest label": _class_seen,
    "predicted class": _predicted,
    FLAT: flat,
}
