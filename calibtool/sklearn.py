"""A classifier with calibrated probabilities, and calibration errors as scores of scikit-learn.

The classifier works like CalibratedClassifierCV(ensemble=False): cross-validation gives the
model's outputs on rows that it has not seen, the calibrator is fitted to these, and the model to
all rows.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np

from calibtool.analysis.evaluate import evaluate
from calibtool.calibrators.calibrator import Calibrator as FittedCalibrator
from calibtool.calibrators.calibrator import finish
from calibtool.calibrators.fit import fit
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.maps import Power
from calibtool.data.predictions import Predictions
from calibtool.data.rows import to_probs
from calibtool.errors import CalibtoolError, FitError
from calibtool.types import Array

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import check_cv, cross_val_predict
    from sklearn.utils import column_or_1d, get_tags, indexable
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_is_fitted,
        has_fit_parameter,
        validate_data,
    )
except ImportError as error:
    raise ImportError(
        f"calibtool.sklearn needs scikit-learn ({error}): pip install 'calibtool[sklearn]'"
    ) from error

SAVED = ("logits", "probs")  # values of `estimator` for which X are saved outputs of a model


class Calibrator(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier with calibrated probabilities.

    Args:
        method: the name of a calibrator, as for `ct.fit`.
        estimator: the classifier, LogisticRegression() by default. "logits" or "probs" if X are
            saved outputs of a model, so that only the calibrator is fitted. FrozenEstimator(model)
            for a model that has been fitted already, to other rows.
        cv: how rows are split to get outputs on rows that the classifier has not seen: a number of
            folds, a splitter or splits, as in scikit-learn.
        options: of the method, such as {"smoothing": True}.

    Attributes:
        classes_: (K,) labels, in the order of the columns of `predict_proba`.
        calibrator_: calibtool's calibrator; `calibrator_.save("cal.json")` saves it.
        estimator_: the classifier, fitted to all rows; None if X are saved outputs.

    >>> import numpy as np
    >>> z = np.log([[0.8, 0.2]] * 5)
    >>> model = Calibrator(estimator="logits").fit(2 * z, [0, 0, 0, 0, 1])
    >>> model.predict_proba(2 * z)[0].round(6).tolist()
    [0.8, 0.2]
    """

    def __init__(
        self,
        method: str = "temperature",
        estimator: Any = None,
        *,
        cv: Any = 5,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.method = method
        self.estimator = estimator
        self.cv = cv
        self.options = options

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Fit the classifier and the calibrator.

        If the calibrator has no finite optimum, for example on rows that are separated perfectly,
        probabilities are left unchanged, with a UserWarning.

        Args:
            X: (N, F) features, or (N, K) or (N, 1) saved outputs.
            y: (N,) labels.
            sample_weight: (N,) weights, not negative.

        Raises ValueError for data or options that cannot be used.
        """
        check_classification_targets(y)
        saved = self._saved()
        X, y = validate_data(self, X, y) if saved else indexable(X, column_or_1d(y, warn=True))
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if saved:
            self.estimator_ = None
            self.classes_ = _classes_of_columns(y, max(X.shape[1], 2))
            values, kind = X, self.estimator
        else:
            values, kind = self._unseen(X, y, sample_weight)
        try:
            predictions = self._predictions(values, kind, _codes(y, self.classes_), sample_weight)
            self.calibrator_ = self._calibrator(predictions)
        except CalibtoolError as error:
            raise ValueError(str(error)) from error
        self.kind_ = kind
        return self

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return (N, K) calibrated probabilities."""
        check_is_fitted(self)
        if self.estimator_ is None:
            values = validate_data(self, X, reset=False)
        else:
            values = getattr(self.estimator_, _METHODS[self.kind_])(X)
        try:
            predictions = self._predictions(values, self.kind_, None, None)
            return to_probs(self.calibrator_(predictions)).matrix()
        except CalibtoolError as error:
            raise ValueError(str(error)) from error

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return the (N,) labels with the highest calibrated probability."""
        probs = self.predict_proba(X)
        return np.asarray(self.classes_[probs.argmax(axis=1)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self._saved() and get_tags(self._model()).input_tags.sparse
        return tags

    def _saved(self) -> bool:
        """Return whether X are saved outputs; raise ValueError for another name."""
        if isinstance(self.estimator, str) and self.estimator not in SAVED:
            raise ValueError(
                f"estimator must be a classifier, or 'logits' or 'probs' if X are saved outputs of "
                f"a model (got {self.estimator!r})"
            )
        return isinstance(self.estimator, str)

    def _model(self) -> Any:
        return LogisticRegression() if self.estimator is None else self.estimator

    def _unseen(self, X: Any, y: Array, weight: Array | None) -> tuple[Array, str]:  # noqa: N803
        """Fit the classifier; return its outputs on rows that it has not seen, and their kind."""
        model = self._model()
        params = {}
        if weight is not None and has_fit_parameter(model, "sample_weight"):
            params["sample_weight"] = weight
        elif weight is not None and not isinstance(model, FrozenEstimator):
            warnings.warn(
                f"{type(model).__name__} takes no sample_weight; only the calibrator is weighted",
                UserWarning,
                stacklevel=3,
            )
        fitted = clone(model).fit(X, y, **params)
        self.estimator_, self.classes_ = fitted, fitted.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        kind = _kind(fitted, X)
        if isinstance(model, FrozenEstimator):
            return getattr(fitted, _METHODS[kind])(X), kind
        cv = check_cv(_folds(self.cv, y), y, classifier=True)
        values = cross_val_predict(clone(model), X, y, cv=cv, method=_METHODS[kind], params=params)
        return values, kind

    def _predictions(
        self, values: Array, kind: str, labels: Array | None, weight: Array | None
    ) -> Predictions:
        make = Predictions.from_logits if kind == "logits" else Predictions.from_probs
        return make(values, labels, weights=weight)

    def _calibrator(self, predictions: Predictions) -> FittedCalibrator:
        """Fit the calibrator; return one that changes nothing, with a warning, if it cannot be."""
        try:
            return fit(self.method, predictions, **(self.options or {}))
        except FitError as error:
            reason = f"probabilities stay as they are: {error}"
        warnings.warn(reason, UserWarning, stacklevel=3)
        return finish("temperature", predictions, Power(1.0), FitRecord(notes=(reason,)))


_METHODS = {"logits": "decision_function", "probs": "predict_proba"}


def calibration_error(
    y_true: Any,
    y_pred: Any,
    *,
    metric: str = "ece",
    sample_weight: Any = None,
    labels: Any = None,
    pos_label: Any = None,
) -> float:
    """Return a calibration error, or any other metric, of probabilities.

    It has the arguments that `make_scorer` expects:
    `make_scorer(calibration_error, greater_is_better=False, response_method="predict_proba")`.

    Args:
        y_true: (N,) labels.
        y_pred: (N, K) probabilities; or, of two classes, (N,) probabilities of `pos_label`.
        metric: one metric, as in `ct.evaluate`, such as "ece(bins=10)".
        sample_weight: (N,) weights, not negative.
        labels: (K,) labels of the columns; by default those in `y_true`, sorted, or 0 to K - 1.
            Give them if rows of a class may be absent.
        pos_label: of two classes, the label that (N,) probabilities are of; by default the last.

    Raises ValueError for data that cannot be used, and where the metric is not defined.

    >>> calibration_error(["no", "yes"], [0.25, 0.75])
    0.25
    """
    probs = np.asarray(y_pred)
    y = column_or_1d(y_true)
    if labels is None:
        classes = _classes_of_columns(y, probs.shape[1] if probs.ndim == 2 else 2)
    else:
        classes = np.unique(labels)
    try:
        if pos_label is not None and probs.ndim == 1:
            (column,) = _codes(np.array([pos_label]), classes)
            probs = probs if column else 1 - probs
        predictions = Predictions.from_probs(probs, _codes(y, classes), weights=sample_weight)
        report = evaluate(predictions, metrics=metric, resamples=0)
    except CalibtoolError as error:
        raise ValueError(str(error)) from error
    if len(report.estimates) != 1:
        raise ValueError(f"metric must name one metric that these rows have (got {metric!r})")
    (estimate,) = report.estimates
    if estimate.value is None:
        raise ValueError(f"{estimate.name}: {estimate.missing}")
    return estimate.value


def _folds(cv: Any, y: Array) -> Any:
    """Return `cv`, or if it is more folds than the rarest class has rows, that number of rows."""
    if not isinstance(cv, int):
        return cv
    classes, rows = np.unique(y, return_counts=True)
    fewest = int(rows.min())
    if fewest < 2:
        raise ValueError(
            f"the class {classes[rows.argmin()]!r} has 1 row; for outputs on rows that the "
            "classifier has not seen, at least 2 rows per class are needed"
        )
    if fewest < cv:
        warnings.warn(
            f"cv={cv}: a class has only {fewest} rows, so {fewest} folds are used",
            UserWarning,
            stacklevel=4,
        )
    return min(cv, fewest)


def _kind(model: Any, X: Any) -> str:  # noqa: N803
    """Return "logits" if a fitted classifier has one decision value per class, otherwise "probs".

    Two classes may have a single decision value. Decision values of pairs of classes ("ovo") are
    not logits, though 3 classes have 3 of them too.
    """
    pairs = getattr(model, "decision_function_shape", None) == "ovo"
    if hasattr(model, "decision_function") and not (pairs and len(model.classes_) > 2):
        shape = np.shape(model.decision_function(X))
        if len(shape) == 1 or shape[1] == len(model.classes_):
            return "logits"
    if not hasattr(model, "predict_proba"):
        raise ValueError(
            f"{type(model).__name__} has neither predict_proba nor one decision value per class"
        )
    return "probs"


def _classes_of_columns(y: Array, classes: int) -> Array:
    """Return the labels of the columns of saved outputs: the sorted labels, or 0 to K - 1."""
    labels = np.unique(y)
    if len(labels) == classes:
        return labels
    if labels.dtype.kind in "iub" and labels.min() >= 0 and labels.max() < classes:
        return np.arange(classes)
    raise ValueError(
        f"y has the labels {', '.join(map(str, labels[:8]))}{', ...' * (len(labels) > 8)}; "
        f"there are columns for {classes} classes; give one column per class, or label the classes "
        f"0 to {classes - 1}"
    )


def _codes(y: Array, classes: Array) -> Array:
    """Return the (N,) column of each label."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"y has the class {unknown[0]!r}, which the estimator does not know")
    return np.searchsorted(classes, y)
