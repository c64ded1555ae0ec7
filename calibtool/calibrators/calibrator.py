"""The calibrator: a fitted map, with the classes it was fitted for and how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from calibtool.calibrators.calibrator_file import document_of, save
from calibtool.calibrators.fit_rows import FileRows
from calibtool.calibrators.fitted import FitRecord, digest_of
from calibtool.calibrators.maps import Curves, Map, Shifted, columns_of, placed_at_prior
from calibtool.calibrators.registry import METHODS
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError, NotAvailableError, UsageError
from calibtool.types import Array, Shown

PIECE = 1 << 24  # values that are calibrated at a time


@dataclass(frozen=True, eq=False)
class Calibrator(Shown):
    """Call it on predictions.

    Attributes:
        method: a name of the table of calibrators.
        map: what it does to a row, with its parameters: `cal.map.temperature`, say.
        classes: K.
        class_names: K names, if known.
        fitted: how it was fitted.
    """

    method: str
    map: Map
    classes: int
    class_names: tuple[str, ...] | None = None
    fitted: FitRecord = field(default_factory=FitRecord)

    def __call__(self, predictions: Predictions) -> Predictions:
        """Calibrated predictions. Logits stay logits where the map works on logits; probabilities
        stay probabilities.

        Raises UsageError for other classes, NotAvailableError for confidences alone.
        """
        require_classes(predictions, self.classes, self.class_names)
        rows = max(1, PIECE // predictions.values.shape[1])
        if predictions.rows <= rows:
            return self.map(predictions)
        parts = [self.map(block) for block in predictions.blocks(rows)]
        values = np.concatenate([part.values for part in parts])
        return replace(predictions, kind=parts[0].kind, values=values)

    def interval(self, predictions: Predictions) -> tuple[Array, Array]:
        """(N, K) lower and upper probabilities, class by class; of Venn-Abers calibrators.

        Raises NotAvailableError for all others.
        """
        require_classes(predictions, self.classes, self.class_names)
        if not isinstance(self.map, Curves) or not hasattr(self.map.curves[0], "interval"):
            raise NotAvailableError(f"{self.describe()} gives no intervals; venn-abers does")
        return self.map.interval(predictions)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that predictions must carry in `extra`: those it was fitted by."""
        return columns_of(self.map)

    def placed_at_prior(self, predictions: Predictions) -> int:
        """How many rows get 0 for every class, and so the class shares of the fit data."""
        return placed_at_prior(self.map, predictions)

    def for_prior(self, target: ArrayLike) -> Calibrator:
        """The same calibrator where the classes have other shares: (K,) that sum to 1.

        Raises UsageError for shares that make no distribution.
        """
        shares = np.asarray(target, np.float64)
        if shares.shape != (self.classes,):
            raise UsageError(
                f"--target-prior: {shares.size} shares for {self.classes} classes; give one a class"
            )
        if not (np.isfinite(shares).all() and (shares > 0).all() and abs(shares.sum() - 1) < 1e-6):
            raise UsageError("--target-prior: the shares must be positive and sum to 1")
        prior = np.array(self.fitted.prior)
        if len(prior) != self.classes or not (prior > 0).all():
            raise UsageError(
                "--target-prior: the class shares of the fit data are not known, or one is 0"
            )
        return replace(self, map=Shifted(self.map, prior, shares / shares.sum()))

    def save(self, path: str | Path) -> None:
        """Write a calibrator file (JSON), whole or not at all."""
        save(self, path)

    def document(self) -> dict[str, Any]:
        """What is in its file."""
        return document_of(self)

    def describe(self) -> str:
        """For reports."""
        return f"{METHODS[self.method].title} ({self.map.describe()})"

    def parameters(self) -> dict[str, Any]:
        """What the calibrator file keeps of the map."""
        return self.map.parameters()


def require_classes(
    predictions: Predictions, classes: int, names: tuple[str, ...] | None = None
) -> None:
    """Whether a calibrator of K classes, of these names if they are known, fits predictions."""
    if predictions.classes is None:
        raise NotAvailableError(
            f"{predictions.source}: only confidences are known; a calibrator needs whole rows of "
            "logits or probabilities"
        )
    if predictions.classes != classes:
        raise UsageError(
            f"{predictions.source}: has {predictions.classes} classes, the calibrator was fitted "
            f"for {classes}"
        )
    if names and predictions.class_names and names != predictions.class_names:
        pairs = zip(names, predictions.class_names, strict=True)
        ours, theirs = next(pair for pair in pairs if pair[0] != pair[1])
        raise UsageError(
            f"{predictions.source}: its class {theirs!r} stands where the calibrator was fitted on "
            f"{ours!r}; bring the columns into the same order"
        )


def require_fit(predictions: Predictions | FileRows) -> int:
    """Whether a calibrator can be fitted to predictions at all; K."""
    if isinstance(predictions, FileRows):  # which has looked
        return int(predictions.classes or 0)
    if predictions.classes is None:
        require_classes(predictions, 0)
    if predictions.labels is None:
        raise NotAvailableError(f"{predictions.source}: a fit needs labels")
    if predictions.weights is not None and not predictions.weights.any():
        raise FitError(f"{predictions.source}: the rows to fit on all have a weight of 0")
    return int(predictions.classes or 0)


def finish(
    method: str, predictions: Predictions | FileRows, made: Map, **record: Any
) -> Calibrator:
    """The calibrator of a map that was fitted to predictions, with the record of the fit."""
    seen = predictions.seen if isinstance(predictions, FileRows) else digest_of(predictions)
    fitted = FitRecord(
        rows=seen.rows,
        kind=predictions.kind,
        prior=tuple(seen.shares.tolist()),
        fingerprint=seen.fingerprint,
        **record,
    )
    classes = int(predictions.classes or 0)
    return Calibrator(method, made, classes, predictions.class_names, fitted)


def name_of(predictions: Predictions | FileRows, k: int) -> str:
    """A class, for messages."""
    return repr(predictions.class_names[k]) if predictions.class_names else str(k)
