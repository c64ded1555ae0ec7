"""The p-value of a slice: whether it has the value of all rows."""

from __future__ import annotations

import math
from statistics import NormalDist

from calibtool.intervals.estimate import Estimate


def p_of(estimate: Estimate, whole: Estimate, level: float | None) -> float | None:
    """Return the p-value of the hypothesis that a slice has the value of all rows.

    The interval of the slice is widened, in proportion to normal deviates, until it reaches the
    value of all rows; the p-value is 1 - level of that interval. All rows are taken as known: they
    are many more than those of a slice.

    Returns None without an interval.
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    if whole.value is None or level is None:
        return None
    centre = estimate.value if estimate.corrected is None else estimate.corrected
    goal = whole.value if whole.corrected is None else whole.corrected
    reach = estimate.high - centre if goal > centre else centre - estimate.low
    if not all(map(math.isfinite, (centre, goal, reach))):
        return None
    deviates = NormalDist().inv_cdf((1 + level) / 2)
    # An error that happens to be smaller than chance makes it has an end close to its value. Such
    # an end is moved out to where the standard error of the bootstrap puts it.
    reach = max(reach, deviates * (estimate.error or 0.0))
    if reach <= 0:
        return 1.0
    z = abs(goal - centre) / reach * deviates
    return math.erfc(z / math.sqrt(2))
