"""What each peer library is asked, and which calibtool metric means the same."""

from collections.abc import Iterator
from dataclasses import dataclass

DEFAULT_BINS = 15
BINARY = {"tenths": 10, "continuous": 15, "ties": 15}
MULTICLASS = {"classes5": 5, "classes100": 100}
FLOAT32 = 1e-6  # absolute tolerances: of a value computed in single precision,
FITTED = 1e-6  # of a temperature found by a converged optimiser,
STOPPED = 1e-4  # and by netcal's, which stops early (numerical gradients)

EDGE_10 = "bins are left-closed, and the scores lie on their edges"
EDGE_15 = "1 has a bin of its own (torchmetrics#3510) and 0.8 goes right of 12/15"
HALF = "a score of exactly 0.5, the decision threshold, counts as class 0"
SPLIT = "rows do not divide by bins, so cuts between rows may be rounded to either side"
STRADDLE = "cuts fall within tie groups, and the library and calibtool may choose other sides"


@dataclass(frozen=True)
class Ask:
    """One call, and the calibtool spec that gives the same value, or why none does."""

    input: str
    call: str
    agrees_with: str | None
    why: str | None = None
    tolerance: float = 1e-9


@dataclass(frozen=True)
class Library:
    """A peer, the code that prepares its calls, and the calls."""

    name: str
    setup: str
    asks: list[Ask]


TORCHMETRICS = """\
from torch import from_numpy as tensor
from torchmetrics.functional.classification import (
    binary_accuracy, binary_calibration_error,
    multiclass_accuracy, multiclass_calibration_error,
)
"""


def torchmetrics() -> Library:
    """Return what torchmetrics is asked."""
    return Library(
        "torchmetrics", TORCHMETRICS, [*_torchmetrics_binary(), *_torchmetrics_multiclass()]
    )


def _torchmetrics_binary() -> Iterator[Ask]:
    for name, bins in BINARY.items():
        why = {"tenths": EDGE_10, "ties": EDGE_15}.get(name)
        for norm, metric in [("l1", "ece"), ("l2", "rmsce"), ("max", "mce")]:
            call = (
                "binary_calibration_error(tensor(scores), tensor(outcomes),"
                f" n_bins={bins}, norm={norm!r})"
            )
            yield Ask(name, call, None if why else named(metric, bins), why)
        why = None if name == "continuous" else HALF
        call = "binary_accuracy(tensor(scores), tensor(outcomes))"
        yield Ask(name, call, None if why else "accuracy", why, FLOAT32)


def _torchmetrics_multiclass() -> Iterator[Ask]:
    for name, classes in MULTICLASS.items():
        for norm, metric in [("l1", "ece"), ("l2", "rmsce"), ("max", "mce")]:
            call = (
                "multiclass_calibration_error(tensor(probabilities), tensor(labels),"
                f" num_classes={classes}, n_bins=15, norm={norm!r})"
            )
            yield Ask(name, call, metric, tolerance=FLOAT32)
        call = (
            "multiclass_accuracy(tensor(probabilities), tensor(labels),"
            f" num_classes={classes}, average='micro')"
        )
        yield Ask(name, call, "accuracy", tolerance=FLOAT32)


NETCAL = """\
import numpy as np
from netcal.metrics import ECE, MCE
from netcal.scaling import TemperatureScaling
"""


def netcal() -> Library:
    """Return what netcal is asked."""
    return Library("netcal", NETCAL, [*_netcal_errors(), *_netcal_temperatures()])


def _netcal_errors() -> Iterator[Ask]:
    for name, bins, data in binned_inputs():
        why = EDGE_10 if name == "tenths" else None
        for kind in ["ECE", "MCE"]:
            spec = None if why else named(kind.lower(), bins)
            yield Ask(name, f"{kind}(bins={bins}).measure({data})", spec, why)
    for name, bins, data in equal_mass_inputs():
        if name != "ties":  # there netcal raises: quantiles meet
            call = f"ECE(bins={bins}, equal_intervals=False).measure({data})"
            yield Ask(name, call, *equal_mass(name, bins))


def _netcal_temperatures() -> Iterator[Ask]:
    fit = "1 / TemperatureScaling().fit({}, {}).temperature[0]"
    yield Ask("continuous", fit.format("scores", "outcomes"), "temperature", tolerance=STOPPED)
    for name in MULTICLASS:
        call = fit.format("probabilities", "labels")
        yield Ask(name, call, "temperature", tolerance=STOPPED)
        call = fit.format("probabilities.astype(np.float32)", "labels")
        yield Ask(name, call, None, "in float32 the optimiser stays at its start (netcal#48)")


UNCERTAINTY_CALIBRATION = """\
from calibration.utils import (
    get_ece, get_ece_em, get_equal_bins, get_equal_prob_bins, lower_bound_scaling_ce,
)
"""


def uncertainty_calibration() -> Library:
    """Return what uncertainty-calibration is asked."""
    return Library(
        "uncertainty-calibration", UNCERTAINTY_CALIBRATION, [*_uc_errors(), *_uc_classwise()]
    )


def _uc_errors() -> Iterator[Ask]:
    plugin = "lower_bound_scaling_ce({}, p=2, debias=False, num_bins={}, binning_scheme={}{})"
    for name, bins, data in binned_inputs():
        top = ", mode='top-label'" if name in MULTICLASS else ""
        yield Ask(name, f"get_ece({data}, num_bins={bins})", named("ece", bins))
        call = plugin.format(data, bins, "get_equal_prob_bins", top)
        yield Ask(name, call, named("rmsce", bins))
    for name, bins, data in equal_mass_inputs():
        top = ", mode='top-label'" if name in MULTICLASS else ""
        spec, why = equal_mass(name, bins)
        yield Ask(name, f"get_ece_em({data}, num_bins={bins})", spec, why)
        spec = spec and named("ece", bins, "profile=equal_mass", "norm=l2")
        yield Ask(name, plugin.format(data, bins, "get_equal_bins", top), spec, why)


def _uc_classwise() -> Iterator[Ask]:
    for name in MULTICLASS:
        call = "get_ece(probabilities, labels, mode='marginal')"
        yield Ask(name, call, "classwise-ece")
        call = (
            "lower_bound_scaling_ce(probabilities, labels, p=2, debias=False,"
            " binning_scheme=get_equal_prob_bins, mode='marginal')"
        )
        yield Ask(name, call, None, "the root is taken after the mean over classes, not before")


SCIKIT_LEARN = """\
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

class Echo(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return self.classes_[np.zeros(len(X), dtype=int)]

class Decisions(Echo):
    def decision_function(self, X):
        return X[:, 0] if X.shape[1] == 1 else X

class Probabilities(Echo):
    def predict_proba(self, X):
        return np.hstack([1 - X, X])

def temperature(model, X, y):
    frozen = FrozenEstimator(model.fit(X, y))
    fitted = CalibratedClassifierCV(frozen, method='temperature').fit(X, y)
    return 1 / fitted.calibrated_classifiers_[0].calibrators[0].beta_

def curve_ece(y, p, bins, strategy):
    frequency, mean = calibration_curve(y, p, n_bins=bins, strategy=strategy)
    quantiles = np.percentile(p, 100 * np.linspace(0, 1, bins + 1))
    edges = np.linspace(0, 1, bins + 1) if strategy == 'uniform' else quantiles
    counts = np.bincount(np.searchsorted(edges[1:-1], p))
    return np.dot(counts[counts > 0] / len(p), abs(frequency - mean))
"""


def scikit_learn() -> Library:
    """Return what scikit-learn is asked."""
    asks = [*_sklearn_binary(), *_sklearn_quantiles(), *_sklearn_multiclass()]
    return Library("scikit-learn", SCIKIT_LEARN, asks)


def _sklearn_binary() -> Iterator[Ask]:
    for name, bins in BINARY.items():
        call = f"curve_ece(outcomes, scores, {bins}, 'uniform')"
        yield Ask(name, call, named("ece", bins))
        why = None if name == "continuous" else HALF
        call = "accuracy_score(outcomes, scores > 0.5)"
        yield Ask(name, call, None if why else "accuracy", why)
        why = None if name == "continuous" else "clips p = 1 to 1 - eps; calibtool says infinity"
        yield Ask(name, "log_loss(outcomes, scores)", None if why else "nll", why)
        call = "brier_score_loss(outcomes, scores{})"
        yield Ask(name, call.format(", scale_by_half=False"), "brier")
        why = "scale_by_half='auto' halves the sum over two classes"
        yield Ask(name, call.format(""), None, why)
    why = "a 1-d decision x becomes the logits (-x, x): twice the temperature"
    call = "temperature(Decisions(), logits[:, None], outcomes)"
    yield Ask("continuous", call, None, why)
    call = "temperature(Probabilities(), scores[:, None], outcomes)"
    yield Ask("continuous", call, "temperature", tolerance=FITTED)


def _sklearn_quantiles() -> Iterator[Ask]:
    for name, bins, _ in equal_mass_inputs():
        if name in BINARY:
            call = f"curve_ece(outcomes, scores, {bins}, 'quantile')"
            yield Ask(name, call, *equal_mass(name, bins))


def _sklearn_multiclass() -> Iterator[Ask]:
    why = "scale_by_half halves the sum over classes"
    for name in MULTICLASS:
        yield Ask(name, "accuracy_score(labels, probabilities.argmax(axis=1))", "accuracy")
        yield Ask(name, "log_loss(labels, probabilities)", "nll")
        yield Ask(name, "brier_score_loss(labels, probabilities)", "brier")
        call = "brier_score_loss(labels, probabilities, scale_by_half=True)"
        yield Ask(name, call, None, why)
        call = "temperature(Decisions(), logits, labels)"
        yield Ask(name, call, "temperature", tolerance=FITTED)


def named(metric: str, bins: int, *options: str) -> str:
    """Spell the metric, with its bins where they are not the default."""
    options = options if bins == DEFAULT_BINS else (f"bins={bins}", *options)
    return f"{metric}({', '.join(options)})" if options else metric


def binned_inputs() -> Iterator[tuple[str, int, str]]:
    """Yield every input with its number of bins and its two arguments."""
    for name, bins in BINARY.items():
        yield name, bins, "scores, outcomes"
    for name in MULTICLASS:
        yield name, DEFAULT_BINS, "probabilities, labels"


def equal_mass_inputs() -> Iterator[tuple[str, int, str]]:
    """As `binned_inputs`, also with 16 bins: 2,000 rows divide by 16, 3,000 rows by 15."""
    for name, bins, data in binned_inputs():
        yield name, bins, data
        if name != "tenths":
            yield name, 16, data


def equal_mass(name: str, bins: int) -> tuple[str | None, str | None]:
    """Return the spec where every rule for cuts and ties makes the same bins, else why not."""
    if name == "tenths":
        return None, STRADDLE
    if name != "ties":  # there each of the seven values outweighs a bin, so each is one
        rows = 3000 if name == "classes5" else 2000
        if rows % bins:
            return None, SPLIT
    return named("ada-ece", bins), None


PEERS = [torchmetrics(), netcal(), uncertainty_calibration(), scikit_learn()]
