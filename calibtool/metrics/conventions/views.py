"""Views: the scores and outcomes that a library makes of probabilities and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.inputs import LibraryInput, Of

# Names of views that need more than a word. The first is the default view of libraries that take
# one column: P(class 1), or confidence and correctness.
FIRST = "positive or top"
BY_LABELS = "positive of two labels, else top"
FOLDED = "top, class 1 at 0.5"
UNFOLDED = "P(class 1) against a right decision"
FLAT = "all columns as one"


def positive(of: Of, data: LibraryInput) -> float:
    """Return `of` for P(class 1) and whether the label is class 1."""
    p = data.probs
    return of(p if p.ndim == 1 else p[:, 1], data.labels == 1)


def _top(of: Of, data: LibraryInput) -> float:
    """Return `of` for the confidence of the predicted class and its correctness."""
    return of(*data.top)


def _top_single(of: Of, data: LibraryInput) -> float:
    """Return `_top` with the confidence in float32."""
    confidence, correct = data.top
    return of(confidence.astype(np.float32, copy=False), correct)


def _by_labels(of: Of, data: LibraryInput) -> float:
    """Return `positive` where at most two distinct labels occur, else `_top`."""
    if data.few and data.probs.ndim == 2 and data.probs.shape[1] > 2:
        raise NotAvailableError("raises RuntimeError: two distinct labels of more classes")
    return (positive if data.few else _top)(of, data)


def _folded(of: Of, data: LibraryInput) -> float:
    """Return `of` for the top label of one column, where 0.5 predicts class 1."""
    p, outcome = data.probs, data.labels == 1
    return of(np.where(p >= 0.5, p, 1 - p), (p >= 0.5) == outcome)


def _unfolded(of: Of, data: LibraryInput) -> float:
    """Return `of` for P(class 1) and whether the class that it points to is the label."""
    return of(data.probs, (data.probs > 0.5) == (data.labels == 1))


def _per_class(of: Of, data: LibraryInput, classes: int | None = None) -> list[float]:
    """Return `of` for each class (or the first `classes`) one-vs-rest."""
    return [of(column, data.labels == k) for k, column in enumerate(data.columns[:classes])]


def class_mean(of: Of, data: LibraryInput) -> float:
    """Return the mean over classes, one-vs-rest."""
    return float(np.mean(_per_class(of, data)))


def _class_but_first(of: Of, data: LibraryInput) -> float:
    """Return the mean over all classes but the first, one-vs-rest."""
    return float(np.mean(_per_class(of, data)[1:]))


def class_rms(of: Of, data: LibraryInput) -> float:
    """Return the root mean square over classes, one-vs-rest."""
    return float(np.sqrt(np.mean(np.square(_per_class(of, data)))))


def _class_seen(of: Of, data: LibraryInput) -> float:
    """Return the mean over the classes up to the highest label that occurs."""
    return float(np.mean(_per_class(of, data, data.labels.max() + 1)))


def _predicted(of: Of, data: LibraryInput) -> float:
    """Return the unweighted mean over the classes that are predicted at all."""
    confidence, correct = data.top
    members = [data.predicted == k for k in np.unique(data.predicted)]
    return float(np.mean([of(confidence[rows], correct[rows]) for rows in members]))


def flat(of: Of, data: LibraryInput) -> float:
    """Return `of` for all columns as one, each score with whether its class is the label."""
    rows = data.rows
    return of(rows.ravel(), (data.labels[:, None] == np.arange(rows.shape[1])).ravel())


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
    "class, but the first": _class_but_first,
    "class, up to the highest label": _class_seen,
    "predicted class": _predicted,
    FLAT: flat,
}
