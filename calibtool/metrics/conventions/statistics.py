"""Test statistics and their p-values: Spiegelhalter, Hosmer-Lemeshow."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.binned import Bins, binned
from calibtool.metrics.conventions.binned_errors import clipped
from calibtool.metrics.conventions.equal_mass import inner_quantiles
from calibtool.metrics.conventions.equal_width import Rule
from calibtool.types import Array


def spiegelhalter_z(score: Array, outcome: Array, *, eps: float = 0.0) -> float:
    """Return the sum of (y - p)(1 - 2p) over its deviation if calibrated (Spiegelhalter 1986)."""
    p = np.clip(score.astype(np.float64), eps, 1 - eps)
    return np.sum((outcome - p) * (1 - 2 * p)) / np.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))


def spiegelhalter_p(
    score: Array, outcome: Array, *, eps: float = 0.0, one_sided: bool = False
) -> float:
    """Return the probability of a |z| at least as large, or with `one_sided` of such a z."""
    z = float(spiegelhalter_z(score, outcome, eps=eps))
    root = math.sqrt(2)
    return math.erfc(z / root) / 2 if one_sided else math.erfc(abs(z) / root)


def hosmer_lemeshow(
    score: Array,
    outcome: Array,
    *,
    bins: int = 10,
    rule: Rule = inner_quantiles,
    eps: float = 0.0,
    lost: int = 0,
    p_value: bool = False,
) -> float:
    """Return the sum over bins of n gap^2 / (p (1 - p)), or its p-value (Hosmer & Lemeshow 1980).

    The p-value has `lost` fewer degrees of freedom than there are bins.
    """
    b = binned(score, outcome, rule, bins)
    statistic = _chi_square(b, eps)
    return _upper_tail(statistic, len(b.n) - lost) if p_value else statistic


def _chi_square(b: Bins, eps: float) -> float:
    """Return the statistic, with mean scores and rates clipped to [eps, 1 - eps]."""
    p, rate = np.clip(b.score, eps, 1 - eps), np.clip(b.rate, eps, 1 - eps)
    used = p * (1 - p) > 0
    return float(np.sum((b.n * (rate - p) ** 2)[used] / (p * (1 - p))[used]))


def _upper_tail(statistic: float, freedom: int) -> float:
    """Return the probability of a chi-squared variable at least as large."""
    from calibtool.intervals.special import chdtrc

    if freedom <= 0:
        raise NotAvailableError("gives NaN: no degree of freedom is left")
    return float(chdtrc(freedom, statistic))


def hl_clipped(score: Array, outcome: Array, *, bins: int = 10, p_value: bool = False) -> float:
    """Return `hosmer_lemeshow` of scores clipped to [1e-12, 1 - 1e-12]."""
    of = partial(hosmer_lemeshow, bins=bins, p_value=p_value)
    return clipped(score, outcome, of=of)
