"""Threshold: from which confidence on decisions may be taken alone, with a promise."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.groups import require_few
from calibtool.calibrators.nested_maps import group_names
from calibtool.data.files.document import Document, Entry
from calibtool.data.predictions import (
    DataInfo,
    Predictions,
    first_other,
    in_names,
    names_of_classes,
)
from calibtool.decisions.applied import add_columns
from calibtool.decisions.costs import Costs
from calibtool.decisions.losses import decided, scores_of
from calibtool.decisions.point import Point
from calibtool.decisions.target import Target
from calibtool.decisions.threshold_file import WHAT, document_of, load, save
from calibtool.errors import InputError, UsageError
from calibtool.types import Array, Shown

PREDICTED = "predicted"  # the pseudo-column of `by`: one threshold per predicted class
SEPARATOR = ", "  # between the values of several columns, in the name of a group


@dataclass(frozen=True)
class Threshold(Shown):
    """Thresholds and their promise: call it on predictions to get decisions.

    Attributes:
        target: what is promised.
        delta: how often, over draws of the rows that chose it, the promise may be broken.
        points: one per group, or one for all rows.
        data: the rows that chose it.
        by: the columns whose values name the groups; () for all rows.
        class_names: K names, if known.
        question: the question of a log of decisions, or "".
        calibrator: what calibrates the predictions first, or None.
        costs: what decisions cost, of a target that is a cost.
        fingerprint: of the rows that chose it.
        notes: what a user should know, one sentence each.
    """

    target: Target
    delta: float
    points: tuple[Point, ...]
    data: DataInfo
    by: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None
    question: str = ""
    calibrator: Calibrator | None = None
    costs: Costs | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = field(default=())

    def __call__(self, predictions: Predictions) -> Predictions:
        """Return the predictions with the columns `prediction`, where classes are known, and
        `accepted`. The values stay as they are.

        `prediction` is the predicted class; of a target about class 1, that class where P(class 1)
        reaches the threshold. Rows of a group without a threshold are not accepted.

        Raises UsageError for other classes, and where there is no threshold at all.
        """
        self.require_found()
        seen = self.calibrated(predictions)
        rows = decided(seen)
        scores = scores_of(seen, rows, self.target)
        names = self.groups(seen, rows.predicted)
        lines = self.lines(names)
        accepted = np.zeros(len(scores), bool)
        known = ~np.isnan(lines)
        accepted[known] = scores[known] >= lines[known]
        columns: dict[str, Array] = {"accepted": accepted}
        if rows.predicted is not None:
            accepts = self.target.subject.accepts
            flagged = accepted if accepts == "high" else ~accepted
            columns["prediction"] = self._named(
                rows.predicted if accepts == "confident" else flagged.astype(np.int64)
            )
        return add_columns(predictions, dict(sorted(columns.items(), reverse=True)), "apply")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that predictions must have in `extra`."""
        of_calibrator = self.calibrator.columns if self.calibrator else ()
        own = (column for column in self.by if column != PREDICTED)
        return tuple(dict.fromkeys([*of_calibrator, *own]))

    @property
    def found(self) -> bool:
        """Whether some threshold keeps the promise."""
        return any(point.threshold is not None for point in self.points)

    @property
    def threshold(self) -> float | dict[str, float | None] | None:
        """The threshold, or one per group; None where none keeps the promise."""
        if not self.by:
            return self.points[0].threshold
        return {point.group: point.threshold for point in self.points}

    @property
    def classes(self) -> int | None:
        """K, the number of classes; None for confidences."""
        return self.data.classes

    def require_found(self) -> None:
        """Raise UsageError if no threshold keeps the promise."""
        if not self.found:
            raise UsageError(
                f"{self.data.source}: no threshold keeps {self.target.text}; print the result to "
                "see what these rows allow"
            )

    def require_question(self, question: str | None, source: str) -> None:
        """Raise UsageError if predictions answer another question of a log."""
        if self.question and question and question != self.question:
            raise UsageError(
                f"{source}: answers the question {question!r}, the threshold was chosen for "
                f"{self.question!r}; thresholds do not carry over between questions"
            )

    def calibrated(self, predictions: Predictions) -> Predictions:
        """Return the predictions after the calibrator, if there is one.

        Raises UsageError for other classes than those it was chosen for.
        """
        require_same(predictions, self.classes, self.class_names)
        return self.calibrator(predictions) if self.calibrator else predictions

    def groups(self, predictions: Predictions, predicted: Array | None) -> Array:
        """Return the name of the group of each row, (N,) texts."""
        return groups_of(predictions, self.by, predicted)

    def lines(self, names: Array) -> Array:
        """Return the score from which on each row is accepted, by the names of their groups, (N,);
        NaN for groups without a threshold."""
        sign = -1.0 if self.target.subject.accepts == "low" else 1.0
        lines = np.full(len(names), np.nan)
        for point in self.points:
            if point.threshold is not None:
                lines[names == point.group] = sign * point.threshold
        return lines

    def notes_on(self, predictions: Predictions) -> list[str]:
        """Return what a user should know of these rows when it is applied to them."""
        seen = self.calibrated(predictions)
        names = self.groups(seen, decided(seen).predicted)
        unknown = int((~np.isin(names, [point.group for point in self.points])).sum())
        notes = list(self.calibrator.notes_on(predictions)) if self.calibrator else []
        if unknown:
            notes.append(
                f"{unknown:,} rows are of groups that chose no threshold; none of them is accepted"
            )
        return notes

    def save(self, path: str | Path) -> None:
        """Write a threshold file (JSON), atomically; raise UsageError if there is no threshold."""
        self.require_found()
        save(self, path)

    def document(self) -> dict[str, Any]:
        """Return the content of its file."""
        return document_of(self)

    def describe(self) -> str:
        """Return the target and the threshold in one line."""
        where = f"{len(self.points)} thresholds by {SEPARATOR.join(self.by)}"
        if not self.by:
            where = f"threshold {self.points[0].threshold}"
        after = f", after {self.calibrator.describe()}" if self.calibrator else ""
        return f"{where} for {self.target.text}{after}"

    def named(self, text: str) -> str:
        """Return a text about class 1 and class 0 with the names of the classes, if known."""
        return in_names(text, self.class_names)

    def _named(self, classes: Array) -> Array:
        names = self.class_names
        return np.array(names)[classes] if names else np.asarray(classes, np.int64)


def load_threshold(path: str | Path) -> Threshold:
    """Read a threshold file. Loading runs no code from the file.

    Raises InputError for a file that is none, is truncated, or has a newer version.
    """
    return threshold_in(Document(str(path), WHAT).read_json())


def threshold_in(content: Entry) -> Threshold:
    """Return the threshold of a document; raise InputError for no whole threshold of a known
    version."""
    loaded: Threshold = load(content, Threshold)
    return loaded


def groups_of(predictions: Predictions, by: tuple[str, ...], predicted: Array | None) -> Array:
    """Return the name of the group of each row, (N,) texts; "" without groups.

    Raises InputError for a column that is not there, or cannot group; UsageError for too many.
    """
    parts = []
    for column in by:
        if column != PREDICTED:
            parts.append(group_names(predictions, column))
            continue
        if predicted is None:
            raise InputError(
                f"{predictions.source}: holds confidences alone, so that the predicted class is "
                "not known; --by predicted needs classes"
            )
        names = names_of_classes(predictions)
        parts.append(np.array(names)[predicted])
    if not parts:
        return np.zeros(predictions.rows, "<U1")
    combined = np.array([SEPARATOR.join(values) for values in zip(*parts, strict=True)])
    distinct = np.unique(combined)
    require_few(len(distinct), SEPARATOR.join(by))
    if len(parts) > 1 and len(distinct) < len(set(zip(*parts, strict=True))):
        raise InputError(
            f"{predictions.source}: --by {SEPARATOR.join(by)}: two groups have the same name; "
            "their values hold commas"
        )
    return combined


def require_same(
    predictions: Predictions, classes: int | None, names: tuple[str, ...] | None
) -> None:
    """Raise UsageError for other classes than those a threshold was chosen for."""
    source = predictions.source
    if predictions.classes != classes:
        held, was = (f"{k} classes" if k else "confidences" for k in (predictions.classes, classes))
        raise UsageError(
            f"{source}: holds {held}, the threshold was chosen for {was}; thresholds do not carry "
            "over between numbers of classes"
        )
    if (other := first_other(names, predictions.class_names)) is not None:
        ours, theirs = other
        raise UsageError(
            f"{source}: its class {theirs!r} stands where the threshold was chosen on {ours!r}"
        )
