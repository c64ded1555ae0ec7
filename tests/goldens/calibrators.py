"""What each peer library is asked to fit, and which calibtool calibrator does the same.

Calls see the columns of their input and what `inputs.places` adds: `weights`, and `at_scores`,
`at_logits` or `at_rows`, where fitted calibrators are looked at. Where a peer's optimiser stops
early, its setup lets it run on and changes nothing else: definitions are compared, not patience.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

SAME = 1e-12  # absolute tolerances: of the same finite computation,
CONVERGED = 1e-8  # of an optimum that another optimiser reached,
FLAT = 1e-6  # of one that lies in a flat valley, or at which the peer stops a little early

PLAIN = "it begins at 'ts-mix', as ours: 1 / (n + 1) of the uniform distribution is mixed in"
FALLS = "slopes below 0 are not always held at 0: this curve falls"


@dataclass(frozen=True)
class Fit:
    """One fit, and the calibtool call that does the same.

    Attributes:
        input: a name of `inputs.fit_inputs`.
        call: an expression that gives predictions or parameters.
        method, options: of `calibtool.fit`.
        form: which column both are given: "logits", "scores" or "probabilities".
        weighted: whether both are given `weights`.
        compare: "predictions" where fitted calibrators are looked at; "interval" for p0 and p1
            beside them; "each class" for one-vs-rest predictions before rows are made to sum to 1;
            "confidence" for that of the predicted class; "objective" for parameters W and b, at
            which it must not be lower than at ours; None for the record only, and `why`.
        tolerance: absolute.
    """

    input: str
    call: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    form: str = "scores"
    weighted: bool = False
    compare: str | None = "predictions"
    tolerance: float = SAME
    why: str | None = None


@dataclass(frozen=True)
class FitLibrary:
    """A peer, the code that prepares its calls, and the calls."""

    name: str
    setup: str
    fits: list[Fit]


SCIKIT_LEARN = """\
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

class Echo(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return self.classes_[np.zeros(len(X), dtype=int)]

class Decisions(Echo):
    def decision_function(self, X):
        return X[:, 0]

class Probabilities(Echo):
    def predict_proba(self, X):
        return X

def calibrated(model, method, X, y, at, weights=None):
    frozen = FrozenEstimator(model.fit(X, y))
    fitted = CalibratedClassifierCV(frozen, method=method).fit(X, y, sample_weight=weights)
    return fitted.predict_proba(at)

def sigmoid(X, y, at, weights=None):
    return calibrated(Decisions(), 'sigmoid', X[:, None], y, at[:, None], weights)[:, 1]

def logistic(X, y, at, weights=None):
    fitted = LogisticRegression(C=np.inf, solver='newton-cholesky', tol=1e-12)
    return fitted.fit(X[:, None], y, sample_weight=weights).predict_proba(at[:, None])[:, 1]

def isotonic(X, y, at, weights=None):
    fitted = IsotonicRegression(out_of_bounds='clip')
    return fitted.fit(X, y, sample_weight=weights).predict(at)
"""


def scikit_learn() -> FitLibrary:
    """Return what scikit-learn is asked to fit."""
    return FitLibrary("scikit-learn", SCIKIT_LEARN, list(_sklearn()))


def _sklearn() -> Iterator[Fit]:
    for weighted in (False, True):
        weights = ", weights" if weighted else ""
        call = f"sigmoid(logits, outcomes, at_logits{weights})"
        yield Fit(
            "continuous", call, "platt", {"smoothing": True}, "logits", weighted, tolerance=FLAT
        )
        call = f"logistic(logits, outcomes, at_logits{weights})"
        yield Fit("continuous", call, "platt", {}, "logits", weighted, tolerance=CONVERGED)
        for name in ("continuous", "ties"):
            call = f"isotonic(scores, outcomes, at_scores{weights})"
            yield Fit(name, call, "isotonic", weighted=weighted)
    call = "calibrated(Probabilities(), 'isotonic', probabilities, labels, at_rows)"
    yield Fit("classes5", call, "isotonic", form="probabilities")
    call = "calibrated(Probabilities(), 'temperature', probabilities, labels, at_rows)"
    yield Fit("classes5", call, "temperature", form="probabilities", tolerance=FLAT)


BETACAL = """\
from functools import partial
from betacal import BetaCalibration, beta_calibration
from sklearn.linear_model import LogisticRegression

# to the optimum
beta_calibration.LogisticRegression = partial(LogisticRegression, tol=1e-10, max_iter=10_000)

def beta(parameters, X, y, at):
    return BetaCalibration(parameters).fit(X, y).predict(at)
"""


def betacal() -> FitLibrary:
    """Return what betacal is asked to fit. It sees 0 and 1 as eps and 1 - eps, so they are left
    out."""
    fits = []
    for name in ("continuous", "one_sided", "other_sided", "falling"):
        for parameters in ("abm", "am", "ab", "a"):
            call = f"beta({parameters!r}, scores, outcomes, at_scores[1:-1])"
            options = {"parameters": parameters}
            why = FALLS if name == "falling" else None
            compare = None if why else "predictions"
            fits.append(
                Fit(name, call, "beta", options, compare=compare, tolerance=CONVERGED, why=why)
            )
    return FitLibrary("betacal", BETACAL, fits)


NETCAL = """\
from netcal.binning import HistogramBinning, IsotonicRegression
"""


def netcal() -> FitLibrary:
    """Return what netcal is asked to fit; its BBQ and ENIR are not those of the papers."""
    fits = []
    for name, form, labels, at in BOTH:
        for bins in (10, 15):
            call = f"HistogramBinning(bins={bins}).fit({form}, {labels}).transform({at})"
            fits.append(Fit(name, call, "histogram", {"bins": bins}, form))
        call = f"IsotonicRegression().fit({form}, {labels}).transform({at})"
        fits.append(Fit(name, call, "isotonic", {}, form))
    return FitLibrary("netcal", NETCAL, fits)


UNCERTAINTY_CALIBRATION = """\
from calibration import utils
from calibration.calibrators import (
    HistogramCalibrator, HistogramMarginalCalibrator,
    PlattBinnerCalibrator, PlattBinnerMarginalCalibrator, PlattBinnerTopCalibrator,
)
from sklearn.linear_model import LogisticRegression

# to the optimum
utils.LogisticRegression = lambda C, solver: LogisticRegression(
    C=C, solver=solver, tol=1e-10, max_iter=10_000
)

def binned(kind, bins, X, y, at):
    fitted = kind(len(X), bins)
    fitted.train_calibration(X, y)
    return fitted.calibrate(at)
"""


def uncertainty_calibration() -> FitLibrary:
    """Return what uncertainty-calibration is asked to fit; rows divide by bins."""
    fits = []
    for bins in (10, 16):
        call = f"binned({{}}Calibrator, {bins}, scores, outcomes, at_scores)"
        options: dict[str, Any] = {"bins": bins, "multiclass": "one-vs-rest"}
        fits.append(
            Fit(
                "continuous",
                call.format("PlattBinner"),
                "scaling-binning",
                options,
                tolerance=CONVERGED,
            )
        )
        options = {"bins": bins, "binning": "equal-mass"}
        fits.append(Fit("continuous", call.format("Histogram"), "histogram", options))
    for bins in (10, 15):
        call = f"binned({{}}MarginalCalibrator, {bins}, probabilities, labels, at_rows)"
        options = {"bins": bins, "multiclass": "one-vs-rest"}
        fits.append(
            Fit(
                "classes5",
                call.format("PlattBinner"),
                "scaling-binning",
                options,
                "probabilities",
                compare="each class",
                tolerance=CONVERGED,
            )
        )
        options = {"bins": bins, "binning": "equal-mass"}
        fits.append(
            Fit(
                "classes5",
                call.format("Histogram"),
                "histogram",
                options,
                "probabilities",
                compare="each class",
            )
        )
        call = f"binned(PlattBinnerTopCalibrator, {bins}, probabilities, labels, at_rows)"
        fits.append(
            Fit(
                "classes5",
                call,
                "scaling-binning",
                {"bins": bins},
                "probabilities",
                compare="confidence",
                tolerance=CONVERGED,
            )
        )
    return FitLibrary("uncertainty-calibration", UNCERTAINTY_CALIBRATION, fits)


VENN_ABERS = """\
import numpy as np
from venn_abers import VennAbers

def two(p):
    return np.stack([1 - p, p], axis=1)

def venn_abers(X, y, at):
    p, both = VennAbers().fit(two(X), y).predict_proba(two(at))
    return np.stack([both[:, 0], both[:, 1], p[:, 1]])
"""


def venn_abers() -> FitLibrary:
    """Return what venn-abers is asked to fit."""
    call = "venn_abers(scores, outcomes, at_scores)"
    fits = [
        Fit(name, call, "venn-abers", compare="interval")
        for name in ("continuous", "ties", "tenths")
    ]
    return FitLibrary("venn-abers", VENN_ABERS, fits)


PROBMETRICS = """\
import sys
from types import ModuleType, SimpleNamespace
from unittest import mock
import numpy as np
import torch
from scipy.optimize import minimize
from sklearn import linear_model
from sklearn.linear_model import LogisticRegression

# its other solver's compiler, which is imported whether it is used or not
numba = ModuleType('numba')
numba.njit = lambda *args, **options: args[0] if args else lambda function: function
sys.modules.setdefault('numba', numba)

from probmetrics import utils
from probmetrics.calibrators import factory, get_calibrator, logistic

def converged(loss, start, method):
    def value(v):
        v = torch.tensor(v, requires_grad=True)
        loss(v).backward()
        return loss(v).item(), v.grad.numpy()
    options = dict(maxiter=10**5, maxfun=10**6, ftol=0, gtol=1e-11, maxcor=50)
    start = start.double().numpy()
    found = minimize(value, start, jac=True, method='L-BFGS-B', options=options)
    return SimpleNamespace(x=torch.tensor(found.x), success=True)

# to the optimum, in float64
def log(probs):
    return np.log(np.maximum(probs.astype(np.float64), np.finfo(np.float32).tiny))

def quadratic(X, y, at):
    exact = dict(fit_intercept=False, C=np.inf, solver='newton-cholesky', tol=1e-12)
    to_optimum = lambda **options: LogisticRegression(**exact)
    double = lambda probs: probs[:, 1].astype(np.float64)
    with (mock.patch.object(linear_model, 'LogisticRegression', to_optimum),
          mock.patch.object(utils, 'flatten_binary_probs', double)):
        two = [np.stack([1 - p, p], axis=1) for p in (X, at)]
        return get_calibrator('quadratic-scaling').fit(two[0], y).predict_proba(two[1])[:, 1]

def fitted(kind, X, y, at, first='temp-scaling'):
    logistic.torchmin = SimpleNamespace(minimize=converged)
    logistic.multiclass_probs_to_logits = log
    factory.get_calibrator = lambda name: get_calibrator(first)
    return kind().fit(X, y).predict_proba(at)
"""


def probmetrics() -> FitLibrary:
    """Return what probmetrics is asked to fit."""
    fits = []
    kinds = {"structured-vector": "SVS", "structured-matrix": "SMS", "vector": "VectorScaling"}
    for method, kind in kinds.items():
        call = f"fitted(logistic.{kind}Calibrator, probabilities, labels, at_rows{{}})"
        mixed = call.format(", first='ts-mix'")
        plain = Fit("classes5", call.format(""), method, {}, "probabilities", tolerance=FLAT)
        if method == "vector":
            fits.append(plain)
            continue
        fits.append(replace(plain, compare=None, tolerance=SAME, why=PLAIN))
        fits.append(replace(plain, call=mixed))
    call = "get_calibrator('temp-scaling').fit(probabilities, labels).predict_proba(at_rows)"
    fits.append(Fit("classes5", call, "temperature", {}, "probabilities", tolerance=CONVERGED))
    # ours is no parabola beyond the lowest and the highest score, so 0 and 1 are left out
    call = "quadratic(scores, outcomes, at_scores[1:-1])"
    fits += [
        Fit(name, call, "quadratic", tolerance=CONVERGED)
        for name in ("continuous", "one_sided", "other_sided", "falling")
    ]
    return FitLibrary("probmetrics", PROBMETRICS, fits)


TORCH_UNCERTAINTY = """\
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
import torch
from torch.utils.data import DataLoader, TensorDataset

# only its scalers, not what the rest of it imports
root = find_spec('torch_uncertainty').submodule_search_locations[0]
for name in ('torch_uncertainty', 'torch_uncertainty.post_processing'):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [root + name[17:].replace('.', '/')]
abstract = import_module('torch_uncertainty.post_processing.abstract')
sys.modules['torch_uncertainty.post_processing'].PostProcessing = abstract.PostProcessing
scalers = import_module('torch_uncertainty.post_processing.calibration')

def scaler(kind, z, y, **options):
    data = TensorDataset(torch.tensor(z, dtype=torch.float32), torch.tensor(y))
    fitted = getattr(scalers, kind)(z.shape[1], **options)
    fitted.fit(DataLoader(data, batch_size=len(y)), progress=False)
    found = [v.detach().double().numpy() for v in fitted.inv_temperature]
    return [*(found[0].tolist() if found[0].ndim == 2 else [found[0].tolist()]),
            *(v.tolist() for v in found[1:])]
"""


def torch_uncertainty() -> FitLibrary:
    """Return what torch-uncertainty is asked to fit: W's rows, then b where there is one."""
    fits = []
    for price, bias in ((0.0, 0.0), (0.1, 0.1), (1.0, 0.5)):
        call = f"scaler('DirichletScaler', logits, labels, lambda_reg={price}, mu_reg={bias})"
        options = {"off_diagonal": price, "bias": bias}
        fits.append(Fit("classes5", call, "dirichlet", options, "logits", compare="objective"))
    for method, kind in (("matrix", "MatrixScaler"), ("vector", "VectorScaler")):
        call = f"scaler({kind!r}, logits, labels)"
        options = {"off_diagonal": 0.0, "bias": 0.0} if method == "matrix" else {}
        fits.append(Fit("classes5", call, method, options, "logits", compare="objective"))
    return FitLibrary("torch_uncertainty", TORCH_UNCERTAINTY, fits)


BOTH = (
    ("continuous", "scores", "outcomes", "at_scores"),
    ("classes5", "probabilities", "labels", "at_rows"),
)
FITS = [
    scikit_learn(),
    betacal(),
    netcal(),
    uncertainty_calibration(),
    venn_abers(),
    probmetrics(),
    torch_uncertainty(),
]
