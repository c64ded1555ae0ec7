"""What another seed would change: ends of intervals are quantiles of replicates, and have noise.

Where the end that decides a requirement lies that close to the threshold, more replicates are
drawn; and where they do not settle it, the verdict says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

from calibtool.evaluation.resampling import Resampling
from calibtool.gate.decide import bounds
from calibtool.gate.requirement import Requirement
from calibtool.intervals import bootstrap
from calibtool.intervals.estimate import Estimate

MOST = 20_000  # replicates that are drawn unasked
SURE = 0.1  # standard errors of the metric that the noise of a plain quantile may have
# Ends of ECE, NLL, Brier and Cox's slope scattered by up to 1.4 times that over 12 seeds, since the
# inverted intervals look for them among several candidates.
SPREAD = 1.4
CLOSE = 2.0  # standard deviations of the noise within which another seed may decide otherwise
DRAWN = (*bootstrap.METHODS, "unseen")  # methods of intervals that rest on replicates


def noise(estimate: Estimate, resampling: Resampling) -> float:
    """Return the standard deviation of an end over seeds; 0 of intervals that are not drawn.

    That of a quantile q of R draws is sqrt(q (1 - q) / R) over the density there, which is taken to
    be a normal one.

    >>> exact = Estimate("accuracy", 0.9, low=0.8, high=0.95, signature="|ci:clopper-pearson-95|")
    >>> noise(exact, Resampling())
    0.0
    """
    if estimate.low is None or estimate.high is None or not _drawn(estimate):
        return 0.0
    tail = (1 - resampling.level) / 2
    z = -NormalDist().inv_cdf(tail)
    error = estimate.error or (estimate.high - estimate.low) / (2 * z)
    return SPREAD * error * _in_errors(tail, z) / math.sqrt(resampling.resamples)


def _in_errors(tail: float, z: float) -> float:
    """Return the noise of the quantile of one draw, in standard errors."""
    return math.sqrt(tail * (1 - tail)) / NormalDist().pdf(z)


def _drawn(estimate: Estimate) -> bool:
    """Return whether the interval rests on replicates, which its signature says."""
    return any(f"|ci:{method}-" in estimate.signature for method in DRAWN)


def unsettled(
    requirement: Requirement, estimate: Estimate, mode: str, resampling: Resampling
) -> bool:
    """Return whether another seed might decide a requirement otherwise."""
    near = noise(estimate, resampling)
    if mode == "point" or not near:
        return False
    ends = bounds(requirement, estimate)
    decisive = ends[:1] if mode == "tolerate" else ends
    return any(abs(end - requirement.threshold) <= CLOSE * near for end in decisive)


def wanted(
    requirements: Iterable[tuple[Requirement, Estimate]], mode: str, resampling: Resampling
) -> int:
    """Return how many replicates settle the requirements that are not, or MOST; 0 if none are."""
    tail = (1 - resampling.level) / 2
    enough = (_in_errors(tail, -NormalDist().inv_cdf(tail)) / SURE) ** 2
    most = min(MOST, math.ceil(enough))
    if resampling.resamples >= most:
        return 0
    return most if any(unsettled(r, e, mode, resampling) for r, e in requirements) else 0


def remark(
    requirement: Requirement, estimate: Estimate, mode: str, resampling: Resampling, asked: int
) -> str:
    """Return what a verdict says of its seed; "" where no seed matters.

    Args:
        asked: the replicates that were asked for.
    """
    drawn = resampling.resamples
    more = f"{drawn:,} resamples were drawn instead of {asked:,}" if drawn != asked else ""
    if not unsettled(requirement, estimate, mode, resampling):
        return f"{more}, since the interval ended close to the threshold" if more else ""
    close = "the interval ends so close to the threshold that another --seed may change the verdict"
    return f"{close}; {more}" if more else close
