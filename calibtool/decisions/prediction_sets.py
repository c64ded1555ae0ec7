"""Prediction sets: per row the classes among which the label is, with a promised probability.

Split conformal prediction (Vovk, Gammerman & Shafer 2005; Papadopoulos et al. 2002). A set holds
every class whose score is at most the k-th smallest score of the labels of n other rows, with k =
ceil((n + 1) coverage). If a new row and these n could have come in any order, its label is among
the k smallest of n + 1 with a probability of at least `coverage`, whatever the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.confidences import fingerprint_of
from calibtool.data.class_sets import class_sets
from calibtool.data.files.document import Document, Entry
from calibtool.data.predictions import Predictions, first_other, names_of_classes
from calibtool.decisions import sets_file
from calibtool.decisions.applied import add_columns
from calibtool.decisions.calibrated_rows import calibrated
from calibtool.decisions.coverage_promise import (
    Promise,
    fewest_rows,
    rank_of,
    require_coverage,
)
from calibtool.decisions.set_scores import FIT, K_REG, PENALTY, RANDOMIZED, USE, SetScore
from calibtool.errors import InputError, NotAvailableError, UsageError
from calibtool.formatting import counted, joined, percent
from calibtool.streaming.read import read as read_data
from calibtool.types import Array, Shown

COLUMN = "set"  # that `calibtool apply` writes
_LISTED = 5  # classes that a message names; more would not be read


@dataclass(frozen=True, eq=False)
class PredictionSets(Shown):
    """A rule that makes prediction sets: call it on predictions to get them.

    Attributes:
        coverage: the probability that is promised.
        score: how classes are scored.
        quantiles: (1,) the largest score of a class that is taken in, or (K,) one per class.
        rows: the number of rows that set each of them.
        classes: K.
        class_names: K names, if known.
        calibrator: applied to the predictions first, or None.
        kind: of the values that set the quantiles, "logits" or "probs".
        fingerprint: of the rows that set the quantiles, see `Digest.fingerprint`.
        notes: what a user should know of how they were set, one sentence each.
    """

    coverage: float
    score: SetScore
    quantiles: Array
    rows: tuple[int, ...]
    classes: int
    class_names: tuple[str, ...] | None = None
    calibrator: Calibrator | None = None
    kind: str = ""
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    def __call__(self, predictions: Predictions) -> Predictions:
        """Return the predictions with a column `set`: per row the classes of its set, by name or,
        without names, by number.

        Raises NotAvailableError for confidences alone, UsageError for other classes or where there
        is a column `set` already.
        """
        names: Sequence[Any] = predictions.class_names or range(self.classes)
        return add_columns(predictions, {COLUMN: class_sets(self.inside(predictions), names)})

    def inside(self, predictions: Predictions) -> Array:
        """Return whether each class is in the set of each row, (N, K) bool.

        Raises NotAvailableError for confidences alone, UsageError for other classes.
        """
        self.require_classes(predictions)
        after = predictions if self.calibrator is None else self.calibrator(predictions)
        pieces = self.score.pieces(after, USE)
        return np.concatenate([scores <= self.quantiles for _, scores in pieces])

    def notes_on(self, predictions: Predictions) -> list[str]:
        """Return what a user should know of these rows when sets are made of them."""
        return [] if self.calibrator is None else self.calibrator.notes_on(predictions)

    @property
    def per_class(self) -> bool:
        """Whether each class has a promise of its own."""
        return len(self.rows) > 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that predictions must have in `extra`: those of the calibrator."""
        return () if self.calibrator is None else self.calibrator.columns

    @property
    def promises(self) -> tuple[Promise, ...]:
        """The promise to all rows, or to the rows of each class."""
        return tuple(Promise(self.coverage, rows) for rows in self.rows)

    def name_of(self, k: int) -> str:
        """Return the name of class k, or its number."""
        return self.class_names[k] if self.class_names else str(k)

    def describe(self) -> str:
        """Return the promise and the method in a line."""
        each = " of each class" if self.per_class else ""
        return f"sets for {percent(self.coverage)}{each} by {self.score.describe()}"

    def save(self, path: str | Path) -> None:
        """Write a file of sets (JSON), atomically."""
        sets_file.save(self, path)

    def document(self) -> dict[str, Any]:
        """Return the content of its file."""
        return sets_file.document_of(self)

    def require_classes(self, predictions: Predictions) -> None:
        """Check that the classes of predictions are those of these sets.

        Raises NotAvailableError for confidences alone, UsageError for other classes.
        """
        require_whole(predictions)
        source = predictions.source
        if predictions.classes != self.classes:
            raise UsageError(
                f"{source}: has {predictions.classes} classes, the sets are of {self.classes}; "
                "make sets from rows of the same model"
            )
        if (other := first_other(self.class_names, predictions.class_names)) is not None:
            ours, theirs = other
            raise UsageError(
                f"{source}: its class {theirs!r} stands where the sets have {ours!r}; put the "
                "columns into the same order"
            )


def fit_sets(
    predictions: Any,
    coverage: float = 0.9,
    method: str = "aps",
    per_class: bool = False,
    *,
    randomized: bool | None = None,
    seed: int = 0,
    penalty: float = PENALTY,
    k_reg: int = K_REG,
    calibrator: Calibrator | None = None,
    cross_fit: bool = False,
    **keys: Any,
) -> PredictionSets:
    """Set the threshold of prediction sets by labelled rows.

    Args:
        predictions: all that `ct.read` takes: whole rows with labels that neither the model nor
            the calibrator has seen.
        coverage: the probability with which a set is to hold the label, in (0, 1).
        method: "lac", "aps" or "raps".
        per_class: promise the coverage for the rows of each class, by a threshold per class.
        randomized: count a class with a random share of its own probability, rather than all of
            it, which makes larger sets and empty ones of the surest rows; by default `aps` and
            `raps` do.
        seed: of the random shares.
        penalty, k_reg: of `raps`: a class costs `penalty` more per rank beyond `k_reg`.
        calibrator: applied to the predictions first, here and wherever the sets are used.
        cross_fit: set the threshold on rows that are calibrated by fits of the same method which
            did not see them, so that the calibrator may have been fitted on these rows.
        keys: which column has which role, as for `ct.load`.

    Raises UsageError for options that cannot be, weighted rows, or a calibrator fitted on the same
    rows; NotAvailableError for confidences alone or missing labels; InputError for too few rows.

    >>> p = Predictions.from_probs([[0.8, 0.2], [0.3, 0.7]] * 10, [0, 1] * 10)
    >>> fit_sets(p, 0.9, "lac").quantiles.round(4).tolist()
    [0.3]
    """
    score = SetScore(
        method,
        method in RANDOMIZED if randomized is None else randomized,
        seed,
        penalty,
        k_reg,
    )
    require_coverage(coverage)
    data = read_data(predictions, **keys)
    if calibrator is not None and hasattr(data, "also"):
        data = data.also(calibrator.columns)
    rows = require_labelled(data.load())
    after, notes = calibrated(rows, calibrator, cross_fit=cross_fit)
    scores = score.of_labels(after, FIT)
    assert rows.labels is not None
    classes = int(rows.classes or 0)
    parts = [scores[rows.labels == k] for k in range(classes)] if per_class else [scores]
    names = names_of_classes(rows)
    _require_enough(rows.source, coverage, [len(part) for part in parts], names)
    quantiles = [np.sort(part)[rank_of(coverage, len(part)) - 1] for part in parts]
    return PredictionSets(
        coverage,
        score,
        np.array(quantiles),
        tuple(map(len, parts)),
        classes,
        rows.class_names,
        calibrator,
        rows.kind,
        fingerprint_of(rows),
        tuple(notes),
    )


def require_whole(predictions: Predictions) -> None:
    """Raise NotAvailableError if only confidences are known."""
    if predictions.classes is None:
        raise NotAvailableError(
            f"{predictions.source}: only confidences are known; prediction sets need whole rows of "
            "logits or probabilities"
        )


def require_labelled(rows: Predictions) -> Predictions:
    """Return whole rows with labels and equal weights.

    Raises NotAvailableError for confidences alone or without labels, UsageError for weights.
    """
    require_whole(rows)
    if rows.labels is None:
        raise NotAvailableError(
            f"{rows.source}: has no labels, which prediction sets are set and measured by; name "
            "their column with --labels KEY"
        )
    weights = rows.weights
    if weights is not None and len(weights) and (weights != weights[0]).any():
        raise UsageError(
            f"{rows.source}: its rows are weighted; the coverage of prediction sets is a promise "
            "about rows drawn alike, which weights are not a part of; give a file without them, or "
            "with rows drawn in proportion to their weights"
        )
    return rows


def _require_enough(
    source: str, coverage: float, rows: Sequence[int], names: Sequence[str]
) -> None:
    """Check that each threshold is one of the scores; with fewer rows every set would hold every
    class. Raises InputError."""
    least = fewest_rows(coverage)
    few = [k for k, count in enumerate(rows) if count < least]
    if not few:
        return
    if len(rows) == 1:
        raise InputError(
            f"{source}: {counted(rows[0], 'row')} cannot promise a coverage of "
            f"{percent(coverage)}: at least {least:,} are needed, 1 / (1 - coverage) - 1"
        )
    listed = [f"{names[k]!r} ({rows[k]:,})" for k in few[:_LISTED]]
    more = [f"{len(few) - _LISTED:,} more"] if len(few) > _LISTED else []
    raise InputError(
        f"{source}: too few rows of some classes for a coverage of {percent(coverage)} of each: "
        f"{joined([*listed, *more])}; at least {least:,} rows of each class are needed, "
        "1 / (1 - coverage) - 1"
    )


def load_sets(path: str | Path) -> PredictionSets:
    """Read a file of prediction sets. Loading runs no code from the file.

    Raises InputError for a file that holds none, is truncated, or has a newer version.
    """
    return read_sets(Document(str(path), "a file of prediction sets").read_json())


def read_sets(content: Entry) -> PredictionSets:
    """Return the prediction sets of a document; as `load_sets` does."""
    sets: PredictionSets = sets_file.read(content, PredictionSets)
    return sets
