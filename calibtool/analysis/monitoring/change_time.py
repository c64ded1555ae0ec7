"""When a change may come: candidate periods and their prior weights."""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

# The weights fall as (t + _SCALE)^(-3/2), and sum to 1 over all periods. Half of them are for the
# first 3 _SCALE periods, about a quarter of a year of days; a change after 10, 100 or 1,000 periods
# costs 4.5, 6.2 or 9.3 nats.
_SCALE = 32.0
# Every period is a candidate up to this one; then there are 64 per octave, so that the candidates
# grow with the logarithm of the periods.
_EACH, _OCTAVE = 128, 64


def weights_of(starts: Array) -> tuple[Array, Array]:
    """Return prior weights of changes that come with periods, and the weight left after each.

    They do not depend on how many periods there will be.

    Args:
        starts: (S,) numbers of periods after the first, increasing, of which each stands for the
            periods up to the next one; and at the end that of a period that is still to come.

    Returns (S - 1,) weights, and (S - 1,) the weight of all periods that come after each.

    >>> [x.round(4).tolist() for x in weights_of(np.array([1, 2, 4]))]
    [[0.0153, 0.0285], [0.9847, 0.9562]]
    """
    from_here = np.sqrt(_SCALE / (_SCALE + starts - 1.0))
    return from_here[:-1] - from_here[1:], from_here[1:]


def candidates(periods: int) -> tuple[Array, Array, Array]:
    """Return the periods, after the first, that a change may come with.

    Returns (S,) candidates, (S,) their prior weights, and (T,) the weight that is left after each
    period for changes that are still to come, or never do.
    """
    starts = list(range(1, _EACH))
    k = _EACH.bit_length() - 1
    while starts[-1] < periods:
        starts += range(2**k, 2 ** (k + 1), 2**k // _OCTAVE)
        k += 1
    at = np.array(starts)
    count = int(np.searchsorted(at, periods))
    weights, after = weights_of(at[: count + 1])
    left = np.append(1.0, after)[np.searchsorted(at, np.arange(periods), side="right")]
    return at[:count], weights, left
