"""The tables that specs combine: views, profiles and norms."""

from __future__ import annotations

from collections.abc import Callable

from calibtool.metrics import norms, profiles
from calibtool.metrics.profiles import Profile
from calibtool.types import Array

VIEWS = {
    "top": "confidence of the predicted class, and whether it was right",
    "positive": "P(class 1) of a two-class problem, and whether the label is 1",
    "class": "each class one-vs-rest, averaged over the K classes",
    "label": "top, separately for the rows of each predicted class",
}
PROFILES: dict[str, Callable[..., Array]] = {
    "equal_width": profiles.equal_width,
    "equal_mass": profiles.equal_mass,
    "equal_rows": profiles.equal_rows,
    "sweep_mass": profiles.sweep_mass,
    "sweep_width": profiles.sweep_width,
}
# profiles whose edges do not depend on the data
FIXED = ("equal_width",)
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
# norms that subtract noise, and the norm that they estimate
ESTIMATES = {"debiased_l1": "l1", "debiased_l2": "l2"}
# norms of gaps of one sign: accuracy below (-1) or above (1) confidence
SIDES = {"over": -1, "under": 1}
