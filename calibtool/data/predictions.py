"""Predictions: a classifier's saved outputs beside the true labels, validated once.

Everything downstream trusts a `Predictions`. Data from outside enter through the `from_...`
constructors only: they check every value and raise `InputError` naming the key and the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from calibtool.data.unit import LEVELS, MULTILABEL, Unit, unit_text
from calibtool.data.validation import (
    Origin,
    are_unit_column,
    as_labels,
    distribution,
    hits,
    matrix,
    numeric,
    require_finite,
    require_pandas,
    require_range,
    require_rows,
    require_unit,
    row_weights,
)
from calibtool.types import Array, Shown

# Columns of `extra` of soft labels: of the distribution q of a row, its likeliest class, its spread
# (1 - sum of q^2) and its entropy; names that no file will have.
SOFT = ("likeliest class of the row", "spread of the row", "entropy of the row")
Kind: TypeAlias = Literal["logits", "probs", "confidence"]
KIND_NAMES = {
    "logits": "logits",
    "probs": "probabilities",
    "confidence": "confidence only",
    "correct": "right or wrong, no confidence",
}


@dataclass(frozen=True, eq=False)
class Predictions(Shown):
    """Outputs and labels of N rows and K classes.

    Attributes:
        kind: what `values` holds.
        values: (N, K) logits or probabilities; (N, 1) for one column of a two-class problem, the
            logit or probability of class 1; (N,) for confidences alone. Floats of any width.
        labels: (N,) int64 in [0, K), or None if there are only confidences, or no labels yet.
        correct: (N,) bool, whether the predicted class was right; only with confidences, and None
            if that is not known yet.
        weights: (N,) float64, non-negative, or None for a weight of 1 per row.
        class_names: K names, if known.
        source: what to call these data in reports.
        extra: further columns of the file that were asked for, by name, N values each.
        notes: sentences on what was read, and on what was left out of it.
        unit: the rows of the file, where each holds several of these predictions; `extra` has its
            column.
        levels: whether the user said that the classes are levels, in their order.
    """

    kind: Kind
    values: Array
    labels: Array | None = None
    correct: Array | None = None
    weights: Array | None = None
    class_names: tuple[str, ...] | None = None
    source: str = "predictions"
    extra: Mapping[str, Array] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unit: Unit | None = None
    levels: bool = False

    @classmethod
    def from_logits(
        cls,
        logits: ArrayLike,
        labels: ArrayLike | None,
        *,
        weights: ArrayLike | None = None,
        class_names: tuple[str, ...] | None = None,
        place: Origin | None = None,
    ) -> Predictions:
        """Check logits, (N, K), or (N,) the logit of class 1 of two classes.

        Labels are class ids in [0, K), names found in `class_names`, or one-hot rows; None if a
        calibrator is only to be applied.
        Raises InputError for values that are not finite or beyond 1e38, shapes that differ, labels
        out of range.

        >>> Predictions.from_logits([[2.0, 0.0], [0.0, 1.0]], [0, 1]).rows
        2
        """
        place = place or Origin(values="logits")
        values = matrix(logits, place)
        require_rows(values, place)
        require_range(values, place.values, place)
        return cls._build("logits", values, labels, weights, class_names, place)

    @classmethod
    def from_probs(
        cls,
        probs: ArrayLike,
        labels: ArrayLike | None,
        *,
        weights: ArrayLike | None = None,
        class_names: tuple[str, ...] | None = None,
        renormalize: bool = False,
        place: Origin | None = None,
    ) -> Predictions:
        """Check probabilities, (N, K) rows that sum to 1, or (N,) P(class 1) of two classes.

        Rows that miss 1 by float rounding are renormalised. Rows that miss it by more are an error,
        or are renormalised too with `renormalize`. Labels are as for `from_logits`.
        Raises InputError.

        >>> Predictions.from_probs([0.9, 0.2], [1, 0]).classes
        2
        """
        place = place or Origin(values="probs")
        values = matrix(probs, place)
        if not are_unit_column(values):
            require_finite(values, place.values, place)
            values = distribution(values, renormalize, place)
        return cls._build("probs", values, labels, weights, class_names, place)

    @classmethod
    def from_confidence(
        cls,
        confidence: ArrayLike,
        correct: ArrayLike | None,
        *,
        weights: ArrayLike | None = None,
        place: Origin | None = None,
    ) -> Predictions:
        """Check confidences of the predicted class, (N,) in [0, 1], and hits, (N,) of 0 and 1.

        Hits are None if a calibrator is only to be applied.
        Metrics that need whole rows of probabilities are not available for them.
        Raises InputError.

        >>> Predictions.from_confidence([0.9, 0.6], [True, False]).classes is None
        True
        """
        place = place or Origin(values="confidence", labels="correct")
        values = numeric(confidence, place.values, place)
        if values.ndim != 1:
            raise place.error(
                place.values, f"expected one value per row, found shape {values.shape}"
            )
        require_rows(values, place)
        require_finite(values, place.values, place)
        require_unit(values, place)
        right = None if correct is None else hits(correct, len(values), place)
        checked = row_weights(weights, len(values), place)
        return cls("confidence", values, correct=right, weights=checked, source=place.source)

    @classmethod
    def _build(
        cls,
        kind: Kind,
        values: Array,
        labels: ArrayLike | None,
        weights: ArrayLike | None,
        class_names: tuple[str, ...] | None,
        place: Origin,
    ) -> Predictions:
        require_rows(values, place)
        classes = max(values.shape[1], 2)  # two classes may be given by one column
        names = tuple(str(name) for name in class_names) if class_names is not None else None
        if names is not None and len(names) != classes:
            raise place.error(
                "classes",
                f"{len(names)} class names for {classes} classes; give one name per class",
            )
        if names is not None and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise place.error("classes", f"the class name {twice!r} occurs twice")
        ids = None if labels is None else as_labels(labels, len(values), classes, names, place)
        checked = row_weights(weights, len(values), place)
        return cls(kind, values, ids, weights=checked, class_names=names, source=place.source)

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """Return a description in one line: source, rows, classes and kind."""
        return DataInfo.of(self).describe()

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one line per row.

        Columns are named as in csv files: `logit_0`, `logit_1` ... (or by class names) or `logit`
        for one column, likewise `prob`, or `confidence`; then `labels`, `correct`, `weights` and
        the columns of `extra`, where they are known. Raises CalibtoolError without pandas.
        """
        stem = self.kind.removesuffix("s")
        columns: dict[str, Any] = {stem: self.values.ravel()}
        if self.values.ndim == 2 and not self.one_column:
            names = self.class_names or range(self.values.shape[1])
            columns = {
                f"{stem}_{name}": column for name, column in zip(names, self.values.T, strict=True)
            }
        for name in ("labels", "correct", "weights"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        extra = {name: list(column) for name, column in self.extra.items()}
        return require_pandas().DataFrame(columns | extra)

    @property
    def rows(self) -> int:
        """N, the number of rows."""
        return len(self.values)

    @property
    def classes(self) -> int | None:
        """K, the number of classes; None if only confidences are known."""
        return None if self.kind == "confidence" else max(self.values.shape[1], 2)

    @property
    def one_column(self) -> bool:
        """True if a two-class problem is given by the column of class 1 alone."""
        return self.kind != "confidence" and self.values.shape[1] == 1

    @property
    def soft(self) -> bool:
        """True if rows stand for the outcomes of distributions, with their weights."""
        return SOFT[0] in self.extra

    def matrix(self) -> Array:
        """Return the values with a column for each of the K classes, (N, K)."""
        if not self.one_column:
            return self.values
        column = self.values[:, 0]
        # softmax of (0, z) is the sigmoid of z: the other class's logit is 0
        other = np.zeros_like(column) if self.kind == "logits" else 1 - column
        return np.stack([other, column], axis=1)

    def take(self, index: Array | slice) -> Predictions:
        """Return the rows at an index array, a mask or a slice; slices share memory."""

        def at(array: Array | None) -> Array | None:
            return None if array is None else array[index]

        return replace(
            self,
            values=self.values[index],
            labels=at(self.labels),
            correct=at(self.correct),
            weights=at(self.weights),
            extra={name: column[index] for name, column in self.extra.items()},
        )

    def blocks(self, rows: int) -> Iterator[Predictions]:
        """Yield these predictions in slices of `rows` rows, which share memory."""
        for start in range(0, self.rows, rows):
            yield self.take(slice(start, start + rows))

    def load(self) -> Predictions:
        """Return all rows in memory: these predictions themselves, not a copy."""
        return self


def first_other(
    ours: tuple[str, ...] | None, theirs: tuple[str, ...] | None
) -> tuple[str, str] | None:
    """Return the first class that two lists of K names call differently, (ours, theirs); None if
    there is none, or names are not known.

    >>> first_other(("cat", "dog"), ("cat", "owl"))
    ('dog', 'owl')
    """
    if not ours or not theirs:
        return None
    return next((pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]), None)


def names_of_classes(predictions: Any) -> tuple[str, ...]:
    """Return what classes are called wherever they are named: as the file names them, otherwise
    their numbers.

    Args:
        predictions: predictions, a file, or a summary.

    >>> names_of_classes(Predictions.from_probs([[0.2, 0.8]], [1], class_names=("cat", "dog")))
    ('cat', 'dog')
    >>> names_of_classes(Predictions.from_probs([[0.2, 0.8]], [1]))
    ('0', '1')
    """
    return predictions.class_names or tuple(map(str, range(predictions.classes or 0)))


# what is said of class 1 and class 0 -> of a label that is there or not, in this order
_OF_LABELS = {
    r"\bP\(class 1\)": "P(label)",
    r"\bare class 1\b": "have the label",
    r"\b(rows?) of class 1\b": r"\1 with the label",
    r"\b(rows?) of class 0\b": r"\1 without the label",
    r"^Class 1\b": "The label",
    r"^class 1\b": "with the label",
    r"^class 0\b": "without the label",
    r"\bclass 1\b": "the label",
    r"\bclass 0\b": "no label",
}


def in_names(text: str, names: Sequence[str] | None, unit: str = "") -> str:
    """Return a text about class 1 and class 0 of two with the names of the classes, if there are.

    Args:
        text: a sentence, or a name.
        names: of the classes, if known.
        unit: the predictions of a row of the file, as in `DataInfo`; of several labels, class 1 is
            that the label is there.

    >>> in_names("P(class 1) of rows of class 0", ("cat", "dog"))
    'P(dog) of rows of class cat'
    >>> in_names("P(class 1)", None)
    'P(class 1)'
    >>> in_names("P(class 1) of rows of class 0", None, "5 labels per row")
    'P(label) of rows without the label'
    """
    if unit.endswith(MULTILABEL):
        for pattern, label in _OF_LABELS.items():
            text = re.sub(pattern, label, text)
        return text
    if not names or len(names) != 2:
        return text

    def named(found: re.Match[str]) -> str:
        of, word, k = found.groups()
        return f"{of}{names[int(k)]}" if of else f"{word} {names[int(k)]}"

    return re.sub(r"(\bP\()?\b([Cc]lass) ([01])\b", named, text)


@dataclass(frozen=True)
class DataInfo:
    """A description of the data that were read.

    Attributes:
        source: what to call it in reports.
        rows: their number.
        classes: K, or None for confidences alone.
        kind: what the values were; "correct" where rows were right or wrong, and no more.
        weighted: whether rows had weights.
        filter: the condition on the rows, as written by the user; "" for all.
        unit: the predictions of a row of the file, where it has several ("5 labels per row");
            "levels" where the classes are levels.
    """

    source: str
    rows: int
    classes: int | None
    kind: Kind | Literal["correct"]
    weighted: bool = False
    filter: str = ""
    unit: str = ""

    @staticmethod
    def of(rows: Predictions) -> DataInfo:
        """Return the description of rows in memory."""
        return DataInfo(
            rows.source,
            rows.rows,
            rows.classes,
            rows.kind,
            rows.weights is not None,
            unit=unit_text(rows),
        )

    def describe(self) -> str:
        """Return the description in one line."""
        what = LEVELS if self.unit == LEVELS else "classes"
        classes = f"{self.classes:,} {what}, " if self.classes else ""
        weighted = ", weighted" if self.weighted else ""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        if self.unit and self.unit != LEVELS:
            rows = f"{self.rows:,} predictions ({self.unit})"
        where = f" where {self.filter}" if self.filter else ""
        return f"{self.source}{where}: {rows}, {classes}{KIND_NAMES[self.kind]}{weighted}"
