"""The O:E ratio: the number of outcomes that were observed over the number that was expected.

It is a function of cells. A weight counts as that many rows.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from calibtool.metrics.cells import Cells, quotient
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.logistic import refuted
from calibtool.types import Array


def oe_ratio(cells: Cells) -> Array:
    """Return the sum of outcomes over the sum of scores; above 1 the scores are too low.

    0 where no row has the outcome, and NaN where all scores are 0 (Debray et al. 2017; Steyerberg
    2019, ch. 15).

    >>> import numpy as np
    >>> round(float(oe_ratio(Cells.from_rows(np.array([0.2, 0.6]), np.array([0, 1])))), 6)
    1.25
    """
    return quotient(cells.y.sum(axis=-1), cells.p.sum(axis=-1))


def log_interval(cells: Cells, level: float) -> tuple[float, float]:
    """Return the interval of the O:E ratio on the log scale, by the delta method.

    The variance of ln(O/E) is the sum over rows of (y/O - p/E)^2: outcomes and scores both vary.
    Debray et al. 2017 hold the scores fixed. `cells` have no leading axes, and rows count alike.

    >>> import numpy as np
    >>> n = np.full(2, 500.0)
    >>> low, high = log_interval(Cells(np.array([0.2, 0.6]), n, n * [0.2, 0.6], n * 0.4), 0.95)
    >>> round(low * high, 6), low < 1 < high
    (1.0, True)
    """
    observed, expected = float(cells.y.sum()), float(cells.p.sum())
    if not (observed > 0 and expected > 0):
        return (0.0, math.inf) if expected > 0 else (math.nan, math.nan)
    share = cells.centres() / expected
    variance = cells.y @ (1 / observed - share) ** 2 + (cells.n - cells.y) @ share**2
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(max(float(variance), 0.0))
    value = observed / expected
    return value * math.exp(-reach), value * math.exp(reach)


OE_RATIO = CellMetric(
    "oe-ratio",
    "Ratio of observed to expected",
    "O:E, the sum of outcomes / the sum of scores; 1 is perfect, below it the scores are too high",
    "Debray et al. 2017; Van Calster et al. 2025",
    oe_ratio,
    better="nearer",
    ideal=1,
    least=0,
    view="clinical",
    interval=log_interval,
    interval_name="log",
    refuted=refuted,
    sees="scores that are too high or too low on average, as a ratio",
    blind="everything that cancels between high and low scores",
)
