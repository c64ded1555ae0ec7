"""How a calibration error sums: norms of a profile. The last axis is the profile."""

from __future__ import annotations

import numpy as np

from calibtool.checks import Array
from calibtool.metrics.profiles import Profile


def l1(q: Profile) -> Array:
    """Sum of |gap|: the mean absolute gap of a row's bin (Guo et al. 2017, eq. 3)."""
    return np.asarray(np.abs(q.gap).sum(-1))


def l2(q: Profile) -> Array:
    """Root of the weighted mean squared gap of a bin (Kumar et al. 2019, def. 2.2, p = 2)."""
    return np.asarray(np.sqrt((q.gap * _ratio(q)).sum(-1)))


def worst(q: Profile) -> Array:
    """Largest |accuracy - confidence| of a non-empty bin (Naeini et al. 2015, sec. 2)."""
    return np.asarray(np.abs(_ratio(q)).max(-1))


def _ratio(q: Profile) -> Array:
    """Gap of each bin as accuracy - confidence; 0 where the bin is empty."""
    return np.asarray(np.divide(q.gap, q.mass, out=np.zeros_like(q.gap), where=q.mass > 0))
