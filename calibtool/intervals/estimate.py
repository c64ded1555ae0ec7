"""Estimate: a value with its interval and its p-value."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass


@dataclass(frozen=True)
class Estimate:
    """A metric's value on some predictions, with its interval and p-value.

    Attributes:
        name: the spec string, such as "ece(bins=20)".
        value: the plain (plug-in) value; None where it is not available, and `missing` says why.
        corrected: the estimate of the true value, which lies in the interval: median-unbiased for
            calibration errors, which noise pushes up; the value itself for metrics that noise moves
            in no direction. None without an interval.
        low, high: the confidence interval of the true value, or None.
        p_value: of perfect calibration, for calibration errors and test statistics; of no change,
            for a change.
        view: the view it looks at (top, positive, class, label); "" for a score of whole rows.
        better: "lower", "higher", "nearer" to `ideal`, or "" where no value is better.
        signature: what reproduces the number: options, interval, seed, rows, version.
        error: the standard error, from the replicates; None without an interval.
        ideal: the best value, or None.
        least, most: the range of the metric, in which value, interval and `corrected` lie.
    """

    name: str
    value: float | None
    _: KW_ONLY
    corrected: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    view: str = ""
    better: str = "lower"
    missing: str = ""
    signature: str = ""
    error: float | None = None
    ideal: float | None = None
    least: float = -math.inf
    most: float = math.inf

    @property
    def best(self) -> float | None:
        """The number that stands beside the interval: `corrected`, or `value` without one."""
        return self.value if self.corrected is None else self.corrected
