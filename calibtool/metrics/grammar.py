"""The tables that specs are made of: views, profiles, norms."""

from __future__ import annotations

from collections.abc import Callable

from calibtool.metrics import norms, profiles
from calibtool.metrics.profiles import Profile
from calibtool.types import Array

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
