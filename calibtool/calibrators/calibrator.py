"""The calibrator: a fitted map, the classes that it was fitted for, and the record of the fit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from calibtool.calibrators import inputs
from calibtool.calibrators.calibrator_file import document_of, save
from calibtool.calibrators.confidences import as_before, as_classes
from calibtool.calibrators.fit_rows import FileRows
from calibtool.calibrators.fitted import FitRecord, digest_of
from calibtool.calibrators.maps import Map
from calibtool.calibrators.multiclass_curves import Curves
from calibtool.calibrators.nested_maps import Shifted, columns_of, of_other_groups, placed_at_prior
from calibtool.calibrators.registry import EVERY
from calibtool.data.predictions import KIND_NAMES, Predictions, first_other, names_of_classes
from calibtool.errors import FitError, NotAvailableError, UsageError
from calibtool.parallel import cores, ordered, within_room
from calibtool.types import Array, Shown

# Values that a thread calibrates at a time: 64 MB in float64. A map makes a few arrays of that size
# at once; on all rows at once, it would need several times the memory of the predictions. Smaller
# pieces would call the curves of many classes too often.
PIECE = 1 << 23


@dataclass(frozen=True, eq=False)
class Calibrator(Shown):
    """A fitted calibrator: call it on predictions to get calibrated ones.

    Attributes:
        method: its name in the registry, such as "temperature".
        map: the fitted map, with its parameters: `cal.map.temperature`, for example.
        classes: K, the number of classes; None for a calibrator of confidences, whose map is that
            of the two classes wrong and right.
        class_names: K names, if known.
        fitted: the record of the fit.
    """

    method: str
    map: Map
    classes: int | None
    class_names: tuple[str, ...] | None = None
    fitted: FitRecord = field(default_factory=FitRecord)

    def __call__(self, predictions: Predictions) -> Predictions:
        """Return calibrated predictions, with the same labels, weights and columns.

        Logits stay logits if the map works on logits, and become probabilities otherwise;
        probabilities stay probabilities, and confidences confidences.

        Raises UsageError for other classes, and for classes where it was fitted to confidences;
        NotAvailableError for confidences where it was fitted to classes.
        """
        require_classes(predictions, self.classes, self.class_names)
        seen = as_classes(predictions)
        rows = max(1, PIECE // seen.values.shape[1])
        if seen.rows <= rows:
            return as_before(predictions, self.map(seen))
        first = self.map(seen.take(slice(0, rows)))
        # filled block by block: put together afterwards, they would be held twice
        values = np.empty((seen.rows, *first.values.shape[1:]), first.values.dtype)
        values[:rows] = first.values

        def fill(low: int) -> None:
            at = slice(low, low + rows)
            values[at] = self.map(seen.take(at)).values

        list(ordered(fill, range(rows, seen.rows, rows), within_room(cores(), 8 * PIECE)))
        return as_before(predictions, replace(seen, kind=first.kind, values=values))

    def interval(self, predictions: Predictions) -> tuple[Array, Array]:
        """Return (N, K) lower and (N, K) upper probabilities of a Venn-Abers calibrator; of
        confidences (N, 2), of wrong and right.

        Raises NotAvailableError for all other calibrators.
        """
        require_classes(predictions, self.classes, self.class_names)
        if not isinstance(self.map, Curves) or not hasattr(self.map.curves[0], "interval"):
            raise NotAvailableError(f"{self.describe()} gives no intervals; venn-abers does")
        return self.map.interval(as_classes(predictions))

    @property
    def width(self) -> int:
        """The classes of its map: K, or 2, wrong and right, for a calibrator of confidences."""
        return self.classes or 2

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that predictions must have in `extra`: those it was fitted by."""
        return columns_of(self.map)

    def placed_at_prior(self, predictions: Predictions) -> int:
        """Return how many rows every curve gives 0: they get the class shares of the fit data."""
        return placed_at_prior(self.map, as_classes(predictions))

    def of_other_groups(self, predictions: Predictions) -> int:
        """Return how many rows are of groups that the fit has not seen; they get the map of all."""
        return of_other_groups(self.map, predictions)

    def notes_on(self, predictions: Predictions) -> list[str]:
        """Return what a user should know of these rows when the calibrator is applied to them."""
        notes = []
        if other := self.of_other_groups(predictions):
            notes.append(
                f"{other:,} rows are of groups that the fit has not seen; they got the calibrator "
                "of all rows"
            )
        if empty := self.placed_at_prior(predictions):
            notes.append(
                f"{empty:,} rows had a probability of 0 in every class; they were given the class "
                "shares of the fit data"
            )
        return notes

    def for_prior(self, target: ArrayLike) -> Calibrator:
        """Return the calibrator for data in which the classes have other shares.

        Args:
            target: (K,) positive shares that sum to 1.

        Raises UsageError for other shares, if the shares in the fit data are not known, and for
        calibrators of confidences.
        """
        if self.classes is None:
            raise UsageError(
                "--target-prior: the calibrator was fitted to confidences; shares are of classes"
            )
        shares = np.asarray(target, np.float64)
        if shares.shape != (self.classes,):
            raise UsageError(
                f"--target-prior: {shares.size} shares for {self.classes} classes; give one share "
                "per class"
            )
        # 1e-6: shares typed with six decimals; they are divided by their sum below
        if not (np.isfinite(shares).all() and (shares > 0).all() and abs(shares.sum() - 1) < 1e-6):
            raise UsageError("--target-prior: the shares must be positive and sum to 1")
        prior = np.array(self.fitted.prior)
        if len(prior) != self.classes or not (prior > 0).all():
            raise UsageError(
                "--target-prior: the class shares of the fit data are not known, or one is 0"
            )
        return replace(self, map=Shifted(self.map, prior, shares / shares.sum()))

    def save(self, path: str | Path) -> None:
        """Write a calibrator file (JSON), atomically."""
        save(self, path)

    def document(self) -> dict[str, Any]:
        """Return the content of its file."""
        return document_of(self)

    def describe(self) -> str:
        """Return the method and the map in one line, for reports."""
        of = " of confidences" if self.classes is None else ""
        return f"{EVERY[self.method].title}{of} ({self.map.describe()})"

    def of_confidences(self) -> Calibrator:
        """Return the calibrator of confidences whose map this one of two classes holds."""
        fitted = replace(self.fitted, kind="confidence")
        return replace(self, classes=None, class_names=None, fitted=fitted)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the map, as the calibrator file keeps them."""
        return self.map.parameters()


def require_classes(
    predictions: Predictions, classes: int | None, names: tuple[str, ...] | None = None
) -> None:
    """Check that a calibrator of K classes, with these names if known, can be applied; or one of
    confidences, whose K is None.

    Raises NotAvailableError for confidences where it is one of classes, UsageError for other
    classes and for classes where it is one of confidences.
    """
    source = predictions.source
    if classes is None and predictions.classes is not None:
        raise UsageError(
            f"{source}: holds {KIND_NAMES[predictions.kind]}, the calibrator was fitted to "
            "confidences; name a column of confidences with --confidence KEY, or fit a calibrator "
            f"to {KIND_NAMES[predictions.kind]}"
        )
    if classes is not None and predictions.classes is None:
        raise NotAvailableError(
            f"{source}: only confidences are known, the calibrator was fitted for {classes} "
            "classes and needs whole rows of logits or probabilities; fit one to confidences, such "
            "as with fit-temperature"
        )
    if predictions.classes != classes:
        raise UsageError(
            f"{predictions.source}: has {predictions.classes} classes, the calibrator was fitted "
            f"for {classes}"
        )
    if (other := first_other(names, predictions.class_names)) is not None:
        raise UsageError(
            f"{predictions.source}: its class {other[1]!r} stands where the calibrator was fitted "
            f"on {other[0]!r}; put the columns into the same order"
        )


def require_fit(predictions: Predictions | FileRows) -> int:
    """Check that a calibrator can be fitted to predictions, and return K.

    Raises NotAvailableError for confidences alone or missing labels, FitError if all weights are 0.
    """
    if isinstance(predictions, FileRows):  # has checked its sample, and checks the weights later
        return int(predictions.classes or 0)
    inputs.require_whole_rows(predictions.source, predictions.classes)
    inputs.require_labels(predictions)
    if predictions.weights is not None and not predictions.weights.any():
        raise FitError(f"{predictions.source}: the rows to fit on all have a weight of 0")
    return int(predictions.classes or 0)


def finish(
    method: str, predictions: Predictions | FileRows, fitted_map: Map, record: FitRecord
) -> Calibrator:
    """Return the calibrator of a map that was fitted to predictions.

    Args:
        method: its name in the registry.
        predictions: that it was fitted to, with labels.
        fitted_map: the map.
        record: of the fit; what it says of the rows is filled in here.
    """
    if predictions.kind == "confidence" and isinstance(predictions, Predictions):
        return finish(method, as_classes(predictions), fitted_map, record).of_confidences()
    digest = predictions.digest if isinstance(predictions, FileRows) else digest_of(predictions)
    fitted = replace(
        record,
        rows=digest.rows,
        kind=predictions.kind,
        prior=tuple(digest.shares.tolist()),
        fingerprint=digest.fingerprint,
    )
    classes = int(predictions.classes or 0)
    return Calibrator(method, fitted_map, classes, predictions.class_names, fitted)


def name_of(predictions: Predictions | FileRows, k: int) -> str:
    """Return the name of class k, or its number, for messages."""
    name = names_of_classes(predictions)[k]
    return repr(name) if predictions.class_names else name
