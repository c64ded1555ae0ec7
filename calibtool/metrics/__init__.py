"""Metrics: the tables of views, profiles, norms and metrics, and sets of metrics by name."""

from __future__ import annotations

from collections.abc import Callable

from calibtool.checks import Array
from calibtool.metrics import norms, profiles
from calibtool.metrics.kinds import (
    CalibrationError,
    Counts,
    Metric,
    OfCells,
    OfCounts,
    OfMatrix,
    OfOther,
    Score,
)
from calibtool.metrics.profiles import Profile
from calibtool.metrics.table import BINNED, BINNING_FREE, CLINICAL, RANKING, SCORES
from calibtool.views import Rows

VIEWS = {
    "top": "confidence of the predicted class, and whether it was right",
    "positive": "P(class 1) of a two-class problem, and whether the label is 1",
    "class": "each class one-vs-rest, averaged over the K classes",
    "label": "top, apart for the rows of each predicted class",
}
PROFILES: dict[str, Callable[..., Array]] = {
    "equal_width": profiles.equal_width,
    "equal_mass": profiles.equal_mass,
    "sweep_mass": profiles.sweep_mass,
    "sweep_width": profiles.sweep_width,
}
FIXED = ("equal_width",)  # profiles whose edges do not depend on the data
NORMS: dict[str, Callable[[Profile], Array]] = {
    "l1": norms.l1,
    "l2": norms.l2,
    "worst": norms.worst,
    "average": norms.average,
    "over": norms.over,
    "under": norms.under,
    "debiased_l1": norms.debiased_l1,
    "debiased_l2": norms.debiased_l2,
}
ESTIMATES = {"debiased_l1": "l1", "debiased_l2": "l2"}  # norms that take noise off, and of what
SIDES = {"over": -1, "under": 1}  # norms of gaps of one sign: accuracy below or above confidence
SECTIONS: dict[str, tuple[Metric, ...]] = {
    "binned": BINNED,
    "binning-free": BINNING_FREE,
    "scores": SCORES,
    "clinical": CLINICAL,
    "ranking": RANKING,
}
METRICS: dict[str, Metric] = {
    metric.name: metric for section in SECTIONS.values() for metric in section
}
# names of sets, for --metrics
SETS: dict[str, tuple[str, ...]] = {
    "default": (
        *("accuracy", "mean-confidence", "nll", "brier"),
        *("ece", "ada-ece", "rmsce", "mce", "classwise-ece"),
    ),
    "paper": (
        *("accuracy", "nll", "brier", "ece", "ada-ece", "classwise-ece", "mce"),
        *("smece", "debiased-rmsce", "auroc-correct", "aurc"),
    ),
    **{name: tuple(metric.name for metric in section) for name, section in SECTIONS.items()},
    "all": tuple(METRICS),
}


def score_of(metric: OfCounts) -> str | None:
    """The score whose mean a metric of counts needs, or None."""
    if metric.rows is None:
        return None
    return next(n for n, m in METRICS.items() if isinstance(m, Score) and m.rows is metric.rows)


__all__ = [
    "ESTIMATES",
    "FIXED",
    "METRICS",
    "NORMS",
    "PROFILES",
    "SECTIONS",
    "SETS",
    "SIDES",
    "VIEWS",
    "CalibrationError",
    "Counts",
    "Metric",
    "OfCells",
    "OfCounts",
    "OfMatrix",
    "OfOther",
    "Rows",
    "Score",
    "score_of",
]
