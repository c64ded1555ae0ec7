"""Measurement: the value of a metric on one variant, and the replicates behind its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from calibtool.evaluation.execution import Execution
from calibtool.evaluation.resampling import Resampling
from calibtool.intervals.draws import Draws
from calibtool.intervals.inversion import Inverted
from calibtool.types import Array, Progress


@dataclass(frozen=True)
class Settings:
    """What measuring needs besides metrics and rows.

    Attributes:
        resampling: how intervals are made.
        draws: the bootstrap weights of these rows; None where no interval is made.
        execution: threads and progress.
        paired: whether calibration errors need replicates too, as differences of variants do; an
            inverted interval alone needs none.
        of_cells: whether counts of cells are redrawn instead of rows.
    """

    resampling: Resampling
    draws: Draws | None
    execution: Execution
    paired: bool = False
    of_cells: bool = False

    @property
    def level(self) -> float:
        """Confidence level of the intervals."""
        return self.resampling.level

    @property
    def inverted(self) -> bool:
        """Whether calibration errors get the inverted bootstrap."""
        return self.resampling.ci == "inverted"

    @property
    def threads(self) -> int:
        """How many threads may work at once."""
        return self.execution.threads

    @property
    def progress(self) -> Progress:
        """Callback for what is being done and the share that is done."""
        return self.execution.progress


@dataclass(frozen=True, eq=False)
class Measurement:
    """A metric on one variant.

    Attributes:
        value: the plug-in value; None where `missing` says why there is none.
        missing: why there is no value, or "".
        replicates: (R,) its value in each bootstrap replicate, or None.
        inverse: interval, p-value and corrected estimate from candidate truths; calibration errors
            only.
        acceleration: of a BCa interval (Efron 1987).
        corrected: the estimate of the true value of a metric without `inverse`; None where that is
            the value itself.
        interval, method: an interval in closed form or by the metric's own method, and the name of
            that method.
        edges: the upper edges of the bins, of each binary problem of a binned error; they pair its
            rows with those of another variant.
        error: the standard error; None where it is the standard deviation of the replicates.
        p_value: of perfect calibration, of a test statistic; those of calibration errors are in
            `inverse`.
        without: why there is no interval although replicates are drawn, or "".
    """

    value: float | None = None
    missing: str = ""
    replicates: Array | None = None
    inverse: Inverted | None = None
    corrected: float | None = None
    acceleration: float = 0.0
    interval: tuple[float, float] | None = None
    method: str = ""
    edges: tuple[Array, ...] = ()
    error: float | None = None
    p_value: float | None = None
    without: str = ""


# The sums of the columns that a ColumnPlan asked for, in every replicate: (R, columns); None
# without intervals. A Finish turns them into the measurement: every metric's value is computed
# first, then all columns are resampled in one pass, then every interval is finished.
Sums: TypeAlias = Array | None
Finish: TypeAlias = Callable[[Sums], Measurement]


def effective_rows(total: float, weights: Array | None) -> float:
    """Return the number of equally weighted rows that would be as informative (Kish 1965,
    sec. 8.2).

    Args:
        total: the number of rows, which is the answer if they have no weights.
        weights: (N,) non-negative weights, or None.
    """
    if weights is None:
        return total
    return float(weights.sum() ** 2 / (weights**2).sum())


def rows_by_bin(where: Array, weights: Array, bins: int) -> Array:
    """Return the effective number of rows of each bin (Kish 1965, sec. 8.2), (bins,).

    Args:
        where: (N,) the bin of each row.
        weights: (N,) the weight of each row.
        bins: the number of bins.

    >>> rows_by_bin(np.array([0, 0, 1]), np.array([2.0, 2.0, 5.0]), 3)
    array([2., 1., 0.])
    """
    n, squares = (np.bincount(where, w, bins) for w in (weights, weights**2))
    return np.divide(n * n, squares, out=np.zeros(bins), where=squares > 0)
