"""The table of metrics. A metric is a function and a line here; everything else picks it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from calibtool.checks import Array
from calibtool.metrics import norms, profiles, proper
from calibtool.metrics.profiles import Profile
from calibtool.views import Rows

VIEWS = {
    "top": "confidence of the predicted class, and whether it was right",
    "positive": "P(class 1) of a two-class problem, and whether the label is 1",
    "class": "each class one-vs-rest, averaged over the K classes",
}
PROFILES = {"equal_width": profiles.equal_width, "equal_mass": profiles.equal_mass}
NORMS: dict[str, Callable[[Profile], Array]] = {
    "l1": norms.l1,
    "l2": norms.l2,
    "worst": norms.worst,
}


@dataclass(frozen=True)
class CalibrationError:
    """norm(profile(view)): where it looks, and how it sums. 0 is perfect, lower is better.

    A view of "auto" is `positive` for two classes given as one column, and `top` otherwise.
    """

    name: str
    title: str
    definition: str
    source: str
    view: str = "auto"
    profile: str = "equal_width"
    norm: str = "l1"
    better: str = "lower"


@dataclass(frozen=True)
class Score:
    """The weighted mean of a value a row."""

    name: str
    title: str
    definition: str
    source: str
    rows: Callable[..., Array]
    better: str = "lower"


Metric: TypeAlias = CalibrationError | Score

_TABLE: tuple[Metric, ...] = (
    Score(
        "accuracy",
        "Accuracy",
        "mean of [argmax p = y], the first class among equals",
        "",
        proper.accuracy,
        better="higher",
    ),
    Score(
        "mean-confidence",
        "Mean confidence",
        "mean of max p",
        "",
        proper.confidence,
        better="",
    ),
    Score(
        "nll",
        "Negative log-likelihood",
        "mean of -ln p(y), in nats, not clipped",
        "Good 1952",
        proper.nll,
    ),
    Score(
        "brier",
        "Brier score",
        "mean of the sum over classes of (p_k - [y = k])^2; 0 to 2",
        "Brier 1950",
        proper.brier,
    ),
    CalibrationError(
        "ece",
        "Expected calibration error",
        "sum over bins of n_b/N |accuracy_b - confidence_b|",
        "Guo et al. 2017, eq. 3; Naeini et al. 2015",
    ),
    CalibrationError(
        "ada-ece",
        "Adaptive ECE",
        "ECE over bins of equal mass",
        "Mukhoti et al. 2020, sec. 3; Nguyen & O'Connor 2015",
        profile="equal_mass",
    ),
    CalibrationError(
        "rmsce",
        "Root mean squared calibration error",
        "root of the sum over bins of n_b/N (accuracy_b - confidence_b)^2",
        "Kumar et al. 2019, def. 2.2; Hendrycks et al. 2019",
        norm="l2",
    ),
    CalibrationError(
        "mce",
        "Maximum calibration error",
        "largest |accuracy_b - confidence_b| over non-empty bins",
        "Naeini et al. 2015; Guo et al. 2017, eq. 5",
        norm="worst",
    ),
    CalibrationError(
        "classwise-ece",
        "Class-wise ECE",
        "mean over the K classes of the one-vs-rest ECE",
        "Kull et al. 2019, eq. 3; Mukhoti et al. 2020, sec. 3",
        view="class",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}
DEFAULT = tuple(METRICS)


__all__ = [
    "DEFAULT",
    "METRICS",
    "NORMS",
    "PROFILES",
    "VIEWS",
    "CalibrationError",
    "Metric",
    "Rows",
    "Score",
]
