"""Bootstrap weights that are a function of where a row stands, never of who asks for them.

A replicate gives each row an independent weight with mean 1 and variance 1, close to Poisson(1),
so that replicates of a sum can be collected block by block like the sum itself (the Poisson
bootstrap: Hanley & MacGibbon 2006; Chamandy et al. 2012). The weights of a block of rows come from
a stream keyed by (seed, block, group of replicates): one thread or many, one file or forty, 100
replicates or 1,000, give the same digits.
"""

from __future__ import annotations

import numpy as np

from calibtool.predictions import Array

BLOCK = 1024  # rows that share a stream
GROUP = 128  # replicates that share a stream

# Of 256 equally likely bytes, how many give a weight of 0, 1, ... 5. Poisson(1) rounded so that
# mean and variance are exactly 1; its third moment is 4.98 beside Poisson's 5.
SHARES = (94, 95, 46, 16, 4, 1)
_CUTS = np.cumsum(SHARES)[:-1].astype(np.uint8)


def groups(replicates: int) -> list[slice]:
    """The replicates 0 to `replicates` in groups that share streams."""
    return [slice(low, min(low + GROUP, replicates)) for low in range(0, replicates, GROUP)]


def weights(seed: int, start: int, stop: int, group: slice) -> Array:
    """Weights of rows start to stop in one group of replicates: (rows, replicates) float32.

    `start` is a multiple of BLOCK, `group` one of `groups(...)`.
    """
    out = np.empty((stop - start, group.stop - group.start), np.float32)
    for low in range(start, stop, BLOCK):
        key = np.random.SeedSequence([seed, low // BLOCK, group.start // GROUP])
        generator = np.random.Generator(np.random.SFC64(key))
        bits = generator.integers(0, 1 << 64, size=BLOCK * GROUP // 8, dtype=np.uint64)
        at = slice(low - start, min(low + BLOCK, stop) - start)
        drawn = bits.view(np.uint8).reshape(BLOCK, GROUP)[: at.stop - at.start, : out.shape[1]]
        out[at] = _as_weights(drawn)
    return out


def _as_weights(drawn: Array) -> Array:
    """How many cuts each byte reaches: the weight by the table of shares."""
    weight = (drawn >= _CUTS[0]).view(np.uint8)
    for cut in _CUTS[1:]:
        weight += (drawn >= cut).view(np.uint8)
    return weight
