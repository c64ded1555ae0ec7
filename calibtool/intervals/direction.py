"""Direction: whether a change that chance does not explain is for the better."""

from __future__ import annotations

from calibtool.intervals.estimate import Estimate


def direction(before: Estimate, after: Estimate, change: Estimate) -> str:
    """Return "better", "worse", "higher" or "lower" for a change whose interval excludes 0, else
    "".

    >>> towards = {"better": "nearer", "ideal": 1}
    >>> slope = [Estimate("cox-slope", x, low=x - 0.05, high=x + 0.05, **towards)
    ...     for x in (0.33, 0.98)]
    >>> direction(*slope, Estimate("cox-slope", 0.65, low=0.6, high=0.7))
    'better'
    """
    if change.low is None or change.high is None or change.low <= 0 <= change.high:
        return ""
    return judged(before, after, up=change.low > 0)


def judged(before: Estimate, after: Estimate, *, up: bool) -> str:
    """Return what a change upward, or downward, is: "better" or "worse" where the metric says so,
    else "higher" or "lower".

    A metric with an ideal between its ends gets better where it moves towards the ideal, and worse
    where it moves away. What moves past it ends nearer if the middle of both values lies on the
    side that was left. The middle is known at least as well as the mean of the two intervals' ends
    says: its standard error is at most the mean of theirs, however much the two depend on each
    other. Where these ends lie on both sides of the ideal, neither is said.

    >>> towards = {"better": "nearer", "ideal": 0}
    >>> bias = [Estimate("bias", x, low=x - 0.05, high=x + 0.05, **towards)
    ...     for x in (0.3, -0.01, -0.29)]
    >>> judged(bias[0], bias[1], up=False), judged(bias[0], bias[2], up=False)
    ('better', 'lower')
    """
    way = "higher" if up else "lower"
    if before.better in ("lower", "higher"):
        return "better" if before.better == way else "worse"
    if before.better != "nearer" or before.ideal is None:
        return way
    ends = (before.low, after.low, before.high, after.high)
    if any(end is None for end in ends):
        return way
    low, high = ((a or 0.0) + (b or 0.0) for a, b in (ends[:2], ends[2:]))
    if low <= 2 * before.ideal <= high:
        return way
    return "better" if up == (high < 2 * before.ideal) else "worse"


def is_worse(before: Estimate, after: Estimate, change: Estimate) -> bool:
    """Return whether a metric got worse beyond chance. A loss that has become infinite did."""
    if change.better == "lower" and after.value == float("inf") and before.value != after.value:
        return before.value is not None
    return direction(before, after, change) == "worse"


def better_text(better: str, ideal: float | None) -> str:
    """Return what is better, in words: "lower", "near 1"; "" where nothing is.

    >>> better_text("nearer", 1)
    'near 1'
    """
    return f"near {ideal:g}" if better == "nearer" and ideal is not None else better
