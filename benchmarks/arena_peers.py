"""The calibrators of other libraries, as `arena.py` races them: each a function from probabilities
(N, K) and labels to a function from probabilities to probabilities."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from speed import Floats, Ints

FitPeer = Callable[[Floats, Ints], Callable[[Floats], Floats]]
MISSING: dict[str, str] = {}  # module -> why it cannot be imported


def peers(classes: int) -> Iterator[tuple[str, FitPeer]]:
    """The peers that can be fitted to so many classes."""
    yield from _of_sklearn(classes)
    yield from _of_probmetrics(classes)
    if classes == 2 and _has("betacal"):
        from betacal import BetaCalibration

        yield "betacal", lambda p, y: _of_two(BetaCalibration("abm").fit(p[:, 1], y).predict)

    yield from _of_netcal(classes)
    if classes == 2 and _has("lightgbm") and _has("mcgrad"):
        yield "mcgrad", _of_mcgrad


def _of_netcal(classes: int) -> Iterator[tuple[str, FitPeer]]:
    if not _has("netcal.scaling"):
        return
    from netcal import binning, scaling

    kinds = {
        "temperature": scaling.TemperatureScaling,
        "isotonic": binning.IsotonicRegression,
        "histogram": lambda: binning.HistogramBinning(15),
        "bbq": binning.BBQ,
    }
    if classes == 2:
        kinds |= {"logistic": scaling.LogisticCalibration, "beta": scaling.BetaCalibration}

    def fit(kind: Callable[[], Any]) -> FitPeer:
        def of_kind(p: Floats, y: Ints) -> Callable[[Floats], Floats]:
            fitted = kind()
            fitted.fit(p[:, 1] if classes == 2 else p, y)
            transform: Callable[[Floats], Floats] = fitted.transform
            return _of_two(transform) if classes == 2 else transform

        return of_kind

    for name, kind in kinds.items():
        yield f"netcal {name}", fit(kind)


def _of_mcgrad(p: Floats, y: Ints) -> Callable[[Floats], Floats]:
    import pandas as pd
    from mcgrad.methods import MCGrad

    feature = {"numerical_feature_column_names": ["score"]}

    def frame(x: Floats) -> Any:
        with np.errstate(divide="ignore"):
            return pd.DataFrame({"p": x[:, 1], "score": np.log(x[:, 1]) - np.log(x[:, 0])})

    fitted = MCGrad().fit(frame(p).assign(y=y), "p", "y", **feature)
    return lambda x: _columns(fitted.predict(frame(x), "p", **feature))


def _columns(positive: Floats) -> Floats:
    return np.stack([1 - positive, positive], axis=1)


def _of_two(predict: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    return lambda p: _columns(predict(p[:, 1]))


def _of_sklearn(classes: int) -> Iterator[tuple[str, FitPeer]]:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Echo(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Probabilities as a model whose predictions are its inputs."""

        def fit(self, x: Floats, y: Ints) -> Any:
            self.classes_ = np.arange(classes)
            return self

        def predict_proba(self, x: Floats) -> Floats:
            return x

        def predict(self, x: Floats) -> Ints:
            return np.asarray(x.argmax(axis=1))

    def fit(kind: str) -> FitPeer:
        def with_kind(p: Floats, y: Ints) -> Callable[[Floats], Floats]:
            frozen = FrozenEstimator(Echo().fit(p, y))
            predict: Callable[[Floats], Floats]
            predict = CalibratedClassifierCV(frozen, method=kind).fit(p, y).predict_proba
            return predict

        return with_kind

    for kind in ("sigmoid", "isotonic", "temperature"):
        yield f"scikit-learn {kind}", fit(kind)


def _of_probmetrics(classes: int) -> Iterator[tuple[str, FitPeer]]:
    # the compiler of its other solver, which is imported whether it is used or not
    if not _has("numba"):
        numba = ModuleType("numba")
        numba.njit = lambda *args, **options: args[0] if args else lambda f: f  # type: ignore[attr-defined]
        sys.modules.setdefault("numba", numba)
    if not _has("probmetrics.calibrators"):
        return
    from probmetrics.calibrators import get_calibrator

    names = {"temperature": "temp-scaling", "ts-mix": "ts-mix"}
    if classes == 2:
        names |= {"quadratic": "quadratic-scaling", "affine": "affine-scaling"}
    else:
        names |= {"svs": "svs", "sms": "sms"}
    for name, kind in names.items():
        yield (
            f"probmetrics {name}",
            lambda p, y, kind=kind: (
                get_calibrator(kind, svs_print_init_info=False).fit(p, np.asarray(y)).predict_proba
            ),
        )


def _has(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError as error:
        MISSING[module] = str(error)
        return False
    return True
