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
    """One call, and the calibtool spec that gives the same value, or why none does.

    `reproduces` names the metric of the library in `calibtool.metrics.conventions`, which gives the
    same number with this many `bins`.
    """

    input: str
    call: str
    agrees_with: str | None
    why: str | None = None
    tolerance: float = 1e-9
    reproduces: str | None = None
    bins: int | None = None


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
        yield Ask(name, call.format(", scale_by_half=False"), "brier(scale=sum)")
        yield Ask(name, call.format(""), "brier")
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
    for name in MULTICLASS:
        yield Ask(name, "accuracy_score(labels, probabilities.argmax(axis=1))", "accuracy")
        yield Ask(name, "log_loss(labels, probabilities)", "nll")
        yield Ask(name, "brier_score_loss(labels, probabilities)", "brier")
        call = "brier_score_loss(labels, probabilities, scale_by_half=True)"
        yield Ask(name, call, "brier(scale=half)")
        call = "temperature(Decisions(), logits, labels)"
        yield Ask(name, call, "temperature", tolerance=FITTED)


DCURVES = """\
import pandas as pd
from dcurves import dca
def of(p, y, threshold, model, column):
    data = pd.DataFrame({'p': p, 'y': y})
    found = dca(data=data, outcome='y', modelnames=['p'], thresholds=[threshold], nper=100)
    return found.loc[found['model'] == model, column].item()
"""


def dcurves() -> Library:
    """Return what dcurves is asked."""
    return Library("dcurves", DCURVES, [*_dcurves_net_benefits()])


def _dcurves_net_benefits() -> Iterator[Ask]:
    """Yield net benefits, also where scores are equal to the threshold."""
    for name in ("tenths", "continuous"):
        for threshold in (0.1, 0.3, 0.5, 0.7, 0.9):
            for model, column, options in (
                ("p", "net_benefit", ""),
                ("all", "net_benefit", ",of=all"),
                ("p", "net_intervention_avoided", ",scale=avoided"),
            ):
                call = f"of(scores, outcomes, {threshold}, {model!r}, {column!r})"
                yield Ask(name, call, f"net-benefit(threshold={threshold}{options})")


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


PEERS = [torchmetrics(), netcal(), uncertainty_calibration(), scikit_learn(), dcurves()]


# What `calibtool.metrics.conventions` reproduces. A line is a metric there, the library's call, and
# where its arguments {x} and {y} come from: for one column, for two, and for more.
#   s  P(class 1) and labels        P  rows of probabilities and labels
#   t  confidence and correctness   -  not asked
HELPERS = """\
import numpy as np
def rows(p):
    return np.stack([1 - p, p], axis=1)
def confidence(p):
    return p.max(axis=1)
def correct(p, y):
    return (p.argmax(axis=1) == y).astype(np.int64)
"""
SOURCES = {
    "s": [("scores", "outcomes"), ("probabilities[:, 1]", "labels"), None],
    "P": [("rows(scores)", "outcomes"), ("probabilities", "labels"), ("probabilities", "labels")],
    "t": [
        ("confidence(rows(scores))", "correct(rows(scores), outcomes)"),
        ("confidence(probabilities)", "correct(probabilities, labels)"),
        ("confidence(probabilities)", "correct(probabilities, labels)"),
    ],
}
ONE_COLUMN = {
    "tenths": 10,
    "tenths32": 10,
    "continuous": 15,
    "ties": 15,
    "fifteenths": 15,
    "fifteenths32": 15,
}
MORE_COLUMNS = {"classes5": 15, "classes100": 15, "classes5_single": 15}
TIED = ("tenths", "tenths32", "ties", "fifteenths", "fifteenths32")
ANY_ORDER = "torch.sort leaves ties in an order of its own, which differs between machines"
Line = tuple[str, str, str]


def asked(
    name: str,
    setup: str,
    lines: list[Line],
    more: list[Ask] | None = None,
    order: tuple[str, ...] = (),
) -> Library:
    """Return a library's asks on every input that it takes; metrics of `order` depend on the order
    in which ties are sorted."""
    asks = []
    for metric, call, codes in lines:
        for kind, inputs in enumerate([ONE_COLUMN, {"two_columns": 15}, MORE_COLUMNS]):
            if codes[kind] == "-":
                continue
            x, y = SOURCES[codes[kind]][kind]
            for one, bins in inputs.items():
                filled = call.format(x=x, y=y, bins=bins)
                if metric in order and one in TIED:
                    asks.append(Ask(one, filled, None, ANY_ORDER))
                else:
                    own = {"tolerance": 1e-6, "reproduces": metric, "bins": bins}
                    asks.append(Ask(one, filled, None, **own))
    return Library(name, HELPERS + setup, asks + (more or []))


def agreeing(lines: list[tuple[str, str, str, float]]) -> list[Ask]:
    """Return asks that a calibtool metric agrees with: input, spec, call, tolerance."""
    return [Ask(one, call, spec, tolerance=tolerance) for one, spec, call, tolerance in lines]


def conventions() -> Iterator[Library]:
    """Yield what each library is asked for `calibtool.metrics.conventions` and for our metrics."""
    yield asked("torchmetrics", TORCHMETRICS, [*_torchmetrics_lines()])
    yield asked(
        "torch_uncertainty",
        TORCH_UNCERTAINTY,
        TORCH_UNCERTAINTY_LINES,
        TU_AGREES,
        order=("ace", "ace-l2", "ace-max", "aurc", "augrc"),
    )
    yield asked("netcal", NETCAL_METRICS, NETCAL_LINES, NETCAL_AGREES)
    yield asked("monai", MONAI, MONAI_LINES)
    yield asked("scikit-learn", SCIKIT_LEARN_METRICS, SCIKIT_LEARN_LINES, SKLEARN_AGREES)
    yield asked("uncertainty-calibration", UC_METRICS, UC_LINES, UC_AGREES)
    yield asked("relplot", "import relplot\n", RELPLOT_LINES, RELPLOT_AGREES)
    yield asked("mapie", "import mapie.metrics.calibration as m\n", MAPIE_LINES, MAPIE_AGREES)
    yield asked(
        "calibre",
        "from calibre import metrics as m, multiclass\n",
        CALIBRE_LINES,
        CALIBRE_AGREES,
    )
    yield asked("probcal", "from probcal import metrics as m\n", PROBCAL_LINES, PROBCAL_AGREES)
    yield asked("calzone-tool", CALZONE, [*_calzone_lines()], CALZONE_AGREES)
    yield Library("calibstats", HELPERS + "import calibstats as m\n", CALIBSTATS_AGREES)
    yield Library("pycalib", HELPERS + "from pycalib import metrics as m\n", PYCALIB_AGREES)
    yield Library("mcgrad", HELPERS + MCGRAD, MCGRAD_AGREES)
    yield Library("model-diagnostics", HELPERS + MODEL_DIAGNOSTICS, MODEL_DIAGNOSTICS_AGREES)
    yield Library("probmetrics", HELPERS + PROBMETRICS, PROBMETRICS_AGREES)


def _torchmetrics_lines() -> Iterator[Line]:
    for metric, norm in [("ece", "l1"), ("l2", "l2"), ("max", "max")]:
        call = (
            "binary_calibration_error(tensor({x}), tensor({y}),"
            f" n_bins={{bins}}, norm={norm!r})"
        )
        yield metric, call, "s--"
        call = (
            "multiclass_calibration_error(tensor({x}), tensor({y}),"
            f" num_classes={{x}}.shape[1], n_bins={{bins}}, norm={norm!r})"
        )
        yield metric, call, "-PP"


TORCH_UNCERTAINTY = """\
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from torch import from_numpy as tensor

# only its metrics, not what the rest of it imports
root = find_spec('torch_uncertainty').submodule_search_locations[0]
for name in ('torch_uncertainty', 'torch_uncertainty.metrics',
             'torch_uncertainty.metrics.classification'):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [root + name[17:].replace('.', '/')]
def load(name):
    return import_module('torch_uncertainty.metrics.classification.' + name)
calibration = load('calibration')
risk, brier, nll = load('risk_coverage'), load('brier_score'), load('categorical_nll')

def of(metric, x, y):
    metric.update(tensor(x), tensor(y))
    return metric.compute()
def ece(x, y, bins, norm):
    task = {'task': 'binary'} if x.ndim == 1 else {'task': 'multiclass', 'num_classes': x.shape[1]}
    return of(calibration.CalibrationError(**task, num_bins=bins, norm=norm), x, y)
def ace(x, y, bins, norm):
    task = {'task': 'binary'} if x.ndim == 1 else {'task': 'multiclass', 'num_classes': x.shape[1]}
    return of(calibration.AdaptiveCalibrationError(**task, num_bins=bins, norm=norm), x, y)
def classwise(x, y, bins):
    return of(calibration.ClasswiseCalibrationError(x.shape[1], num_bins=bins), x, y)
def smece(x, y, kernel):
    return of(calibration.SmoothCalibrationError(kernel), x.astype(np.float32), y)
"""
TORCH_UNCERTAINTY_LINES = [
    ("ece", "ece({x}, {y}, {bins}, 'l1')", "sPP"),
    ("l2", "ece({x}, {y}, {bins}, 'l2')", "sPP"),
    ("max", "ece({x}, {y}, {bins}, 'max')", "sPP"),
    ("ace", "ace({x}, {y}, {bins}, 'l1')", "sPP"),
    ("ace-l2", "ace({x}, {y}, {bins}, 'l2')", "sPP"),
    ("ace-max", "ace({x}, {y}, {bins}, 'max')", "sPP"),
    ("classwise-ece", "classwise({x}, {y}, {bins})", "-PP"),
    ("smece", "smece({x}, {y}, 'logit')", "sPP"),
    ("smece-reflected", "smece({x}, {y}, 'reflected')", "sPP"),
    ("aurc", "of(risk.AURC(), {x}, {y})", "sPP"),
    ("augrc", "of(risk.AUGRC(), {x}, {y})", "sPP"),
    ("brier", "of(brier.BrierScore(1), {x}, {y})", "s--"),
    ("brier", "of(brier.BrierScore({x}.shape[1]), {x}, {y})", "-PP"),
    ("nll", "of(nll.CategoricalNLL(), {x}, {y})", "sPP"),
]
TU_AGREES = agreeing(
    [
        ("classes5", "aurc", "of(risk.AURC(), probabilities, labels)", 2e-3),
        ("classes100", "aurc", "of(risk.AURC(), probabilities, labels)", 2e-3),
        ("classes5", "augrc", "of(risk.AUGRC(), probabilities, labels)", 1e-3),
        ("classes100", "augrc", "of(risk.AUGRC(), probabilities, labels)", 1e-3),
        ("classes5", "smece(kernel=logit)", "smece(probabilities, labels, 'logit')", 2e-3),
        ("classes5", "smece", "smece(probabilities, labels, 'reflected')", 2e-3),
    ]
)

NETCAL_METRICS = """\
from netcal.metrics import ACE, ECE, MCE, MMCE
"""
NETCAL_LINES = [
    ("ece", "ECE(bins={bins}).measure({x}, {y})", "sPP"),
    ("mce", "MCE(bins={bins}).measure({x}, {y})", "sPP"),
    ("ace", "ACE(bins={bins}).measure({x}, {y})", "sPP"),
    ("ece-equal-mass", "ECE(bins={bins}, equal_intervals=False).measure({x}, {y})", "sPP"),
    ("mmce", "MMCE().measure({x}, {y})", "sPP"),
]
NETCAL_AGREES = agreeing(
    [
        ("classes5", "mmce", "MMCE().measure(probabilities, labels)", 1e-6),
        ("classes100", "mmce", "MMCE().measure(probabilities, labels)", 1e-6),
        ("continuous", "average-ce", "ACE(bins=15).measure(scores, outcomes)", 1e-9),
        ("classes5", "average-ce", "ACE(bins=15).measure(probabilities, labels)", 1e-9),
    ]
)

MONAI = """\
from torch import from_numpy as tensor
from monai.metrics import CalibrationErrorMetric

# all rows are the positions of one image, each class is a channel
def error(x, y, reduction, background=True):
    p = x.reshape(len(x), -1).T[None]
    classes = np.array([1]) if x.ndim == 1 else np.arange(x.shape[1])
    truth = (y == classes[:, None])[None]
    metric = CalibrationErrorMetric(
        calibration_reduction=reduction, include_background=background
    )
    metric(y_pred=tensor(p.copy()), y=tensor(truth.astype(np.float32)))
    return metric.aggregate()
"""
MONAI_LINES = [
    (name + suffix, f"error({{x}}, {{y}}, {name!r}{more})", "sPP")
    for suffix, more in (("", ""), ("-no-background", ", False"))
    for name in ("expected", "average", "maximum")
]

SCIKIT_LEARN_METRICS = """\
from sklearn import metrics as m
from sklearn.calibration import calibration_curve

def curve_ece(p, y, bins, strategy):
    frequency, mean = calibration_curve(y, p, n_bins=bins, strategy=strategy)
    quantiles = np.percentile(p, 100 * np.linspace(0, 1, bins + 1))
    edges = np.linspace(0, 1, bins + 1) if strategy == 'uniform' else quantiles
    counts = np.bincount(np.searchsorted(edges[1:-1], p))
    return np.dot(counts[counts > 0] / len(p), abs(frequency - mean))
"""
SCIKIT_LEARN_LINES = [
    ("ece", "curve_ece({x}, {y}, {bins}, 'uniform')", "sst"),
    ("ece-quantile", "curve_ece({x}, {y}, {bins}, 'quantile')", "sst"),
    ("brier", "m.brier_score_loss({y}, {x})", "sPP"),
    ("log-loss", "m.log_loss({y}, {x})", "sPP"),
]
TOP_K = "m.top_k_accuracy_score(labels, probabilities, k={}, labels=range({}))"
ONE_VS_REST = "m.roc_auc_score(labels, probabilities, multi_class='ovr')"
MACRO_F1 = "m.f1_score(labels, probabilities.argmax(axis=1), average='macro')"
SKLEARN_AGREES = agreeing(
    [
        (one, spec, call, 1e-9)
        for spec, call in [
            ("auroc", "m.roc_auc_score(outcomes, scores)"),
            ("auprc", "m.average_precision_score(outcomes, scores)"),
        ]
        for one in ("tenths", "continuous", "ties")
    ]
    + [
        ("classes5", "auroc", ONE_VS_REST, 1e-9),
        ("classes5", "auprc", "m.average_precision_score(np.eye(5)[labels], probabilities)", 1e-9),
        ("classes5", "macro-f1", MACRO_F1, 1e-9),
        ("classes100", "macro-f1", MACRO_F1, 1e-9),
        ("classes5", "top-k-accuracy(k=2)", TOP_K.format(2, 5), 1e-9),
    ]
)

UC_METRICS = """\
from calibration import utils as m
def expected(x, y, bins):
    np.random.seed(0)
    mode = {} if x.ndim == 1 else {'mode': 'top-label'}
    drawn = [m.get_ece(x, y, debias=True, num_bins=bins, **mode) for _ in range(20)]
    return np.mean(drawn)
"""
BY_P = "m.get_calibration_error({x}, {y}, p=%d, debias=%s)"
UC_LINES = [
    ("ece", "m.get_ece({x}, {y}, num_bins={bins})", "sPP"),
    ("ece-em", "m.get_ece_em({x}, {y}, num_bins={bins})", "sPP"),
    ("ece-marginal", "m.get_ece({x}, {y}, num_bins={bins}, mode='marginal')", "-PP"),
    ("calibration-error", BY_P % (2, True), "-PP"),
    ("calibration-error-plugin", BY_P % (2, False), "-PP"),
    ("calibration-error-l1", BY_P % (1, False), "-PP"),
    ("top-calibration-error", "m.get_top_calibration_error({x}, {y})", "-PP"),
]
PLUGIN = "m.lower_bound_scaling_ce(scores, outcomes, p=2, debias={}, num_bins=16)"
WIDTH = "m.lower_bound_scaling_ce({}, p=2, debias=True, binning_scheme=m.get_equal_prob_bins{})"
UC_AGREES = [
    *(
        Ask(
            one,
            call.format(x="scores", y="outcomes"),
            None,
            reproduces=metric,
            bins=15,
            tolerance=1e-6,
        )
        for one in ("continuous", "ties", "fifteenths")
        for metric, call in [
            ("calibration-error", BY_P % (2, True)),
            ("calibration-error-plugin", BY_P % (2, False)),
            ("calibration-error-l1", BY_P % (1, False)),
        ]
    ),
    *(
        Ask(one, f"expected({x}, 15)", None, reproduces="ece-debiased", bins=15, tolerance=5e-4)
        for one, x in [("continuous", "scores, outcomes"), ("classes5", "probabilities, labels")]
    ),
    *agreeing(
        [
            (
                "continuous",
                "debiased-rmsce(profile=equal_width)",
                WIDTH.format("scores, outcomes", ""),
                1e-9,
            ),
            (
                "classes5",
                "debiased-rmsce(profile=equal_width)",
                WIDTH.format("probabilities, labels", ", mode='top-label'"),
                1e-9,
            ),
            ("continuous", "debiased-rmsce(bins=16,profile=equal_mass)", PLUGIN.format(True), 1e-9),
            ("continuous", "ada-rmsce(bins=16)", PLUGIN.format(False), 1e-9),
            (
                "continuous",
                "debiased-ece(profile=equal_width)",
                "expected(scores, outcomes, 15)",
                5e-4,
            ),
        ]
    ),
]

RELPLOT_LINES = [
    ("ece", "relplot.metrics.binnedECE({x}, {y}, nbins={bins})", "sst"),
    ("smece", "relplot.smECE({x}, {y})", "sst"),
]
RELPLOT_LOGIT = (
    "(setattr(relplot.config, 'use_logit_scaling', True), relplot.smECE({}, {}),"
    " setattr(relplot.config, 'use_logit_scaling', False))[1]"
)
TOP_PAIR = ("confidence(probabilities)", "correct(probabilities, labels)")
RELPLOT_AGREES = [
    *(
        Ask(
            one,
            RELPLOT_LOGIT.format(*x),
            None,
            reproduces="smece-logit",
            bins=15,
            tolerance=1e-6,
        )
        for one, x in [
            ("tenths", ("scores", "outcomes")),
            ("continuous", ("scores", "outcomes")),
            ("ties", ("scores", "outcomes")),
            ("classes5", TOP_PAIR),
            ("classes100", TOP_PAIR),
        ]
    ),
    *agreeing(
        [
            ("continuous", "smece", "relplot.smECE(scores, outcomes)", 2e-3),
            ("ties", "smece", "relplot.smECE(scores, outcomes)", 3e-3),
            ("classes5", "smece", "relplot.smECE({}, {})".format(*TOP_PAIR), 2e-3),
            ("classes100", "smece", "relplot.smECE({}, {})".format(*TOP_PAIR), 2e-3),
            ("continuous", "smece(kernel=logit)", RELPLOT_LOGIT.format("scores", "outcomes"), 2e-3),
            ("classes5", "smece(kernel=logit)", RELPLOT_LOGIT.format(*TOP_PAIR), 2e-3),
        ]
    ),
]

MAPIE_ECE = "m.expected_calibration_error({y}, {x}, num_bins={bins}, split_strategy=%r)"
MAPIE_LINES = [
    ("ece", MAPIE_ECE % "uniform", "s-t"),
    ("ece-quantile", MAPIE_ECE % "quantile", "s-t"),
    ("ece-array-split", MAPIE_ECE % "array split", "s-t"),
    ("top-label-ece", "m.top_label_ece({y}, {x}, num_bins={bins})", "-PP"),
    (
        "classwise-ece",
        "m.expected_calibration_error(None, {x}, {bins}, classwise=True, class_labels={y})",
        "-PP",
    ),
    ("spiegelhalter", "m.spiegelhalter_statistic({y}, {x})", "s-t"),
    ("spiegelhalter-p", "m.spiegelhalter_p_value({y}, {x})", "s-t"),
    ("ks", "m.kolmogorov_smirnov_statistic({y}, {x})", "s-t"),
    ("ks-p", "m.kolmogorov_smirnov_p_value({y}, {x})", "s-t"),
    ("kuiper", "m.kuiper_statistic({y}, {x})", "s-t"),
    ("kuiper-p", "m.kuiper_p_value({y}, {x})", "s-t"),
]
SCALED = "m.{}_statistic(outcomes, scores) * m.length_scale(scores)"
MAPIE_AGREES = agreeing(
    [
        ("continuous", "ks", SCALED.format("kolmogorov_smirnov"), 1e-7),
        ("continuous", "spiegelhalter", "m.spiegelhalter_statistic(outcomes, scores)", 1e-9),
    ]
)

CALIBRE_LINES = [
    ("ece", "m.expected_calibration_error({y}, {x}, n_bins={bins})", "sst"),
    ("mce", "m.maximum_calibration_error({y}, {x}, n_bins={bins})", "sst"),
    ("rmsce", "m.root_mean_squared_calibration_error({y}, {x}, n_bins={bins})", "sst"),
    (
        "rmsce-quantile",
        "m.root_mean_squared_calibration_error({y}, {x}, n_bins={bins}, strategy='quantile')",
        "sst",
    ),
    ("plugin", "m.plugin_calibration_error({y}, {x}, n_bins={bins})", "sst"),
    ("plugin-l1", "m.plugin_calibration_error({y}, {x}, n_bins={bins}, norm=1)", "sst"),
    ("debiased", "m.debiased_calibration_error({y}, {x}, n_bins={bins})", "sst"),
    ("sweep", "m.sweep_calibration_error({y}, {x})", "sst"),
    ("sweep-l1", "m.sweep_calibration_error({y}, {x}, norm=1)", "sst"),
    ("smece", "m.smooth_calibration_error({y}, {x})", "sst"),
    ("top-label-ece", "multiclass.top_label_ece({y}, {x}, n_bins={bins})", "-PP"),
    ("classwise-ece", "multiclass.classwise_ece({y}, {x}, n_bins={bins})", "-PP"),
    ("brier", "m.brier_score({y}, {x})", "sst"),
]
CALIBRE_AGREES = agreeing(
    [
        (
            "continuous",
            "debiased-rmsce(bins=16,profile=equal_mass)",
            "m.debiased_calibration_error(outcomes, scores, n_bins=16)",
            1e-9,
        ),
        ("continuous", "ece-sweep", "m.sweep_calibration_error(outcomes, scores, norm=1)", 1e-9),
        ("ties", "ece-sweep", "m.sweep_calibration_error(outcomes, scores, norm=1)", 1e-9),
        ("continuous", "rmsce-sweep", "m.sweep_calibration_error(outcomes, scores)", 1e-3),
    ]
)

PROBCAL_LINES = [
    ("ece", "m.ece({y}, {x}, n_bins={bins})", "sst"),
    ("ece-width", "m.ece({y}, {x}, n_bins={bins}, strategy='width')", "sst"),
    ("rmsce", "m.ece({y}, {x}, n_bins={bins}, norm='l2')", "sst"),
    ("mce", "m.ece({y}, {x}, n_bins={bins}, norm='max')", "sst"),
    ("ece-debiased", "m.ece_debiased({y}, {x}, n_bins={bins})", "sst"),
    ("ece-sweep", "m.ece_sweep({y}, {x})", "sst"),
    ("hosmer-lemeshow", "m.hosmer_lemeshow({y}, {x}, n_bins={bins}).statistic", "sst"),
    ("hosmer-lemeshow-p", "m.hosmer_lemeshow({y}, {x}, n_bins={bins}).p_value", "sst"),
    ("spiegelhalter", "m.spiegelhalter_z({y}, {x}).z", "sst"),
    ("spiegelhalter-p", "m.spiegelhalter_z({y}, {x}).p_value", "sst"),
    ("ecce-max", "m.ecce({y}, {x}).stat_max", "sst"),
    ("ecce-mean", "m.ecce({y}, {x}).stat_mean", "sst"),
    ("smooth-ece", "m.smooth_ece({y}, {x})", "sst"),
    ("slope", "m.calibration_slope({y}, {x})", "sst"),
    ("intercept", "m.calibration_intercept({y}, {x})", "sst"),
    ("brier", "m.brier_score({y}, {x})", "sst"),
    ("log-loss", "m.log_loss({y}, {x})", "sst"),
]
HL = "m.hosmer_lemeshow(outcomes, scores, n_bins=10).statistic"
PROBCAL_AGREES = agreeing(
    [
        ("continuous", "ks", "m.ecce(outcomes, scores).stat_max", 1e-9),
        ("ties", "ks", "m.ecce(outcomes, scores).stat_max", 1e-9),
        ("tenths", "ks", "m.ecce(outcomes, scores).stat_max", 1e-9),
        ("continuous", "ece-sweep", "m.ece_sweep(outcomes, scores)", 1e-9),
        ("continuous", "spiegelhalter", "m.spiegelhalter_z(outcomes, scores).z", 1e-9),
        ("ties", "spiegelhalter", "m.spiegelhalter_z(outcomes, scores).z", 1e-9),
        ("continuous", "hosmer-lemeshow(groups=10)", HL, 1e-6),
        ("continuous", "cox-slope", "m.calibration_slope(outcomes, scores)", 1e-6),
        ("continuous", "citl", "m.calibration_intercept(outcomes, scores)", 1e-6),
        *(
            (
                "continuous",
                f"{name}(degree=1)",
                f"m.{name}(outcomes, scores, grid_size=None)",
                1e-3,
            )
            for name in ("ici", "e50", "e90", "emax")
        ),
        ("continuous", "brier-skill", "m.brier_skill_score(outcomes, scores)", 1e-9),
        *(
            (
                "continuous",
                name,
                f"m.murphy_decomposition(outcomes, scores, n_bins=15, strategy='width').{name}",
                1e-9,
            )
            for name in ("reliability", "resolution", "uncertainty")
        ),
        *(
            (
                "continuous",
                f"skce(estimator={ours},width=0.4)",
                f"m.skce(outcomes, scores, estimator={theirs!r}, bandwidth=0.4)",
                1e-9,
            )
            for ours, theirs in [("unbiased", "uq"), ("biased", "biased")]
        ),
    ]
)

CALZONE = """\
from calzone.metrics import CalibrationMetrics
def calzone(x, y, bins, metric, key):
    found = CalibrationMetrics(class_to_calculate=1, num_bins=bins)
    return found.calculate_metrics(y, x, [metric])[key]
"""


CALZONE_AGREES = agreeing(
    [
        (
            "continuous",
            "ici(degree=1,span=0.5)",
            "calzone(rows(scores), outcomes, 10, 'Loess', 'Loess ICI')",
            1e-3,
        ),
        (
            "continuous",
            "cox-slope",
            "calzone(rows(scores), outcomes, 10, 'COX', 'COX coef')",
            1e-6,
        ),
        (
            "continuous",
            "cox-intercept",
            "calzone(rows(scores), outcomes, 10, 'COX', 'COX intercept')",
            1e-6,
        ),
    ]
)


def _calzone_lines() -> Iterator[Line]:
    for kind in ("H", "C"):
        for norm in ("ECE", "MCE"):
            name = f"{norm}-{kind}"
            call = "calzone({x}, {y}, {bins}, %r, %r)"
            yield name.lower(), call % (name, name), "PP-"
            yield f"{name.lower()}-topclass", call % (name, f"{name} topclass"), "PPP"
        yield f"hl-{kind.lower()}", call % (f"HL-{kind}", f"HL-{kind} score"), "PP-"
        yield f"hl-{kind.lower()}-p", call % (f"HL-{kind}", f"HL-{kind} p-value"), "PP-"
    for metric, name, key in [
        ("spiegelhalter-z", "SpiegelhalterZ", "SpiegelhalterZ score"),
        ("spiegelhalter-p", "SpiegelhalterZ", "SpiegelhalterZ p-value"),
        ("cox-coef", "COX", "COX coef"),
        ("cox-intercept", "COX", "COX intercept"),
        ("cox-ici", "COX", "COX ICI"),
    ]:
        yield metric, f"calzone({{x}}, {{y}}, {{bins}}, {name!r}, {key!r})", "PP-"


CALIBSTATS_AGREES = agreeing(
    [
        (
            "continuous",
            "debiased-rmsce(profile=equal_width)",
            "m.debiased_ece(scores, outcomes)",
            1e-9,
        ),
    ]
)

PYCALIB_AGREES = agreeing(
    [("classes5", "simplex-ece(bins=15)", "m.full_ECE(labels, probabilities) / 2", 1e-9)]
)

MCGRAD = """\
from mcgrad.metrics import ecce
"""
MCGRAD_AGREES = agreeing([("continuous", "kuiper", "ecce(outcomes, scores)", 1e-9)])

MODEL_DIAGNOSTICS = """\
from model_diagnostics.scoring import LogLoss, SquaredError, decompose
def corp(score, x, y, column):
    return decompose(y, x, scoring_function=score(), functional='mean')[column][0]
"""
MODEL_DIAGNOSTICS_AGREES = agreeing(
    [
        (one, f"{name}(score={score})", f"corp({kind}, scores, outcomes, {column!r})", 1e-9)
        for one in ("continuous", "ties")
        for name, column in [
            ("mcb", "miscalibration"),
            ("dsc", "discrimination"),
            ("unc", "uncertainty"),
        ]
        for score, kind in [("brier", "SquaredError"), ("log", "LogLoss")]
        if not (one == "ties" and score == "log")
    ]
)

PROBMETRICS = """\
import sys
import numpy as np
import torch
from types import ModuleType
# the compiler of a solver that is not used here, and what other metrics need
for name, part in (('numba', 'njit'), ('torchmetrics', 'AUROC')):
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = ModuleType(name)
        setattr(sys.modules[name], part, lambda *args, **options: lambda f: f)
from probmetrics import metrics
from probmetrics.calibrators import get_calibrator
from probmetrics.metrics import Metrics, OverConfidenceLoss, ProperLpLoss, UnderConfidenceLoss
from probmetrics.splitters import CVSplitter, Splitter
class Plain(Splitter):
    # our folds; those of CVSplitter are stratified
    def get_splits(self, y_true, random_state=None):
        rows = y_true.get_n_samples()
        fold = np.random.RandomState(random_state).permutation(rows) % 5
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    def get_name(self):
        return 'plain'
def of(name, probabilities, labels):
    given = torch.from_numpy(labels), torch.from_numpy(probabilities)
    return Metrics.from_names([name]).compute_all_from_labels_probs(*given)[name]
def variational(loss, probabilities, labels, folds=Plain()):
    given = torch.from_numpy(labels), torch.from_numpy(probabilities)
    fitted = get_calibrator('isotonic', calibrate_with_mixture=True)
    kinds = metrics.CombinedMetrics([loss])
    found = metrics.MetricsWithCalibration(kinds, fitted, folds, 'own', random_state=0)
    name = f'calib-err_{loss.get_name()}_own_{folds.get_name()}'
    return found.compute_all_from_labels_probs(*given)[name]
def top(probabilities, labels):
    right = (probabilities.argmax(axis=1) == labels).astype(np.int64)
    return np.stack([1 - probabilities.max(axis=1), probabilities.max(axis=1)], axis=1), right
"""
LP_ROWS, LP_TOP = "probabilities, labels", "*top(probabilities, labels)"
# of two classes in two columns, each difference counts twice
LP_BOTH = "ProperLpLoss(1, binary_as_multiclass=True)"
LP_OVER, LP_UNDER = f"OverConfidenceLoss({LP_BOTH})", f"UnderConfidenceLoss({LP_BOTH})"
LP_STRATIFIED = "stratified folds are alike, which raises it"
LP_ONE_COLUMN = "in one column, g of class 1 is held against p of both classes"
VARIATIONAL = [
    ("two_columns", "calibration-lp", f"variational({LP_BOTH}, {LP_ROWS}) / 2"),
    ("two_columns", "calibration-lp(view=top)", f"variational({LP_BOTH}, {LP_TOP}) / 2"),
    ("two_columns", "calibration-lp(side=over)", f"variational({LP_OVER}, {LP_ROWS}) / 2"),
    ("two_columns", "calibration-lp(side=under)", f"variational({LP_UNDER}, {LP_ROWS}) / 2"),
    ("classes5", "calibration-lp", f"variational(ProperLpLoss(1), {LP_ROWS})"),
    ("classes5", "calibration-lp(p=2)", f"variational(ProperLpLoss(2), {LP_ROWS})"),
    ("classes5", "calibration-lp(p=inf)", f"variational(ProperLpLoss(float('inf')), {LP_ROWS})"),
    ("classes5", "calibration-lp(view=top)", f"variational({LP_BOTH}, {LP_TOP}) / 2"),
    ("classes5", "calibration-lp(view=top,side=over)", f"variational({LP_OVER}, {LP_TOP}) / 2"),
    ("classes5", "calibration-lp(view=top,side=under)", f"variational({LP_UNDER}, {LP_TOP}) / 2"),
    ("classes100", "calibration-lp", f"variational(ProperLpLoss(1), {LP_ROWS})"),
    ("classes100", "calibration-lp(p=2)", f"variational(ProperLpLoss(2), {LP_ROWS})"),
]
PROBMETRICS_AGREES = [
    *agreeing(
        [
            ("two_columns", "kuiper(view=positive)", "of('kuiper', probabilities, labels)", 1e-6),
            ("classes5", "brier", "of('brier', probabilities, labels)", 1e-6),
            ("classes5", "nll", "of('logloss', probabilities, labels)", 1e-6),
            ("classes100", "brier", "of('brier', probabilities, labels)", 1e-6),
            *((name, spec, call, 1e-9) for name, spec, call in VARIATIONAL),
        ]
    ),
    Ask(
        "classes5",
        f"variational(ProperLpLoss(1), {LP_ROWS}, CVSplitter(5))",
        None,
        LP_STRATIFIED,
    ),
    Ask("two_columns", f"variational(ProperLpLoss(1), {LP_ROWS})", None, LP_ONE_COLUMN),
    Ask("classes5", f"variational(ProperLpLoss(1), {LP_TOP})", None, LP_ONE_COLUMN),
]
