"""Intervals of errors whose true values are known to be in order, or to add up."""

from __future__ import annotations

from calibtool.intervals.inversion import Inverted


def raised(error: Inverted, *smaller: Inverted) -> Inverted:
    """Return the interval of an error whose true value is never below those of smaller ones.

    Its ends and its estimate become at least those of the smaller errors. Any of the errors may
    then lift the low end off 0; the p-value is twice the smallest (Bonferroni for one-sided tests,
    as low ends have half of the error rate), so that it is below 1 - level where that happens.

    Args:
        error: its interval.
        smaller: those of the smaller errors.

    >>> raised(Inverted(0.0, 0.3, 0.1, 0.06), Inverted(0.1, 0.2, 0.15, 0.02))
    Inverted(low=0.1, high=0.3, corrected=0.15, p_value=0.04, shape=0.0, drift=None)
    """
    every = (error, *smaller)
    return Inverted(
        max(e.low for e in every),
        max(e.high for e in every),
        max(e.corrected for e in every),
        min(2 * min(e.p_value for e in every), 1.0),
        error.shape,
        error.drift,
    )


def lowered(error: Inverted, larger: Inverted) -> Inverted:
    """Return the interval of an error whose true value is never above that of a larger one.

    >>> lowered(Inverted(0.1, 0.3, 0.2, 0.02), Inverted(0.0, 0.25, 0.15, 0.02))
    Inverted(low=0.0, high=0.25, corrected=0.15, p_value=0.02, shape=0.0, drift=None)
    """
    low, high = min(error.low, larger.low), min(error.high, larger.high)
    corrected = min(error.corrected, larger.corrected)
    return error._replace(low=low, high=high, corrected=corrected)


def parts(one: Inverted, other: Inverted, whole: Inverted) -> tuple[Inverted, Inverted]:
    """Return the intervals of two errors whose true values add up to that of a third.

    Their estimates are scaled so that they add up too: within both intervals if they can, else an
    interval is stretched to its estimate. No part ends above the whole.

    >>> a, b = Inverted(0.1, 0.3, 0.2, 0.0), Inverted(0.0, 0.2, 0.1, 0.5)
    >>> [round(part.corrected, 3) for part in parts(a, b, Inverted(0.2, 0.4, 0.27, 0.0))]
    [0.18, 0.09]
    """
    both = one.corrected + other.corrected
    total = whole.corrected
    first = total * one.corrected / both if both > 0 else total / 2
    least, most = max(one.low, total - other.high), min(one.high, total - other.low)
    if least <= most:
        first = min(max(first, least), most)
    first = min(max(first, 0.0), total)
    return _around(one, first, whole), _around(other, total - first, whole)


def _around(part: Inverted, corrected: float, whole: Inverted) -> Inverted:
    """Return a part's interval around an estimate, no higher than the whole's."""
    low = min(part.low, whole.low, corrected)
    high = max(min(part.high, whole.high), corrected)
    return part._replace(low=low, high=high, corrected=corrected)
