"""Rows as a search for an optimum sums over them: in pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from calibtool.calibrators.fit_rows import add_up
from calibtool.parallel import cores, ordered
from calibtool.types import Array

# Values from which on float32 logits are first worked on in float32, which halves memory traffic.
# Of fewer, rounding errors do not average out, and a float64 pass costs little.
SINGLE = 1 << 22
# Values worked on at a time: 1 MB in float64, so that a piece's arrays stay in the L2 cache.
PIECE = 1 << 17
# With fewer classes than this, z is stored column by column: NumPy's loops along a row of K values
# are too short to be fast, those down a column are not.
FEW = 16
# With fewer values, a pass takes a few milliseconds, and starting threads does not pay.
SMALL = 1 << 20


class Piece(NamedTuple):
    """A few rows, and their position among those in memory."""

    z: Array
    labels: Array
    weights: Array
    at: slice


class Data(Protocol):
    """Rows to sum over.

    `in_memory` is whether they are held, `float32_first` whether the search may begin in float32.
    """

    @property
    def in_memory(self) -> bool: ...
    @property
    def float32_first(self) -> bool: ...
    def sum(self, work: Callable[[Piece], Array]) -> Array: ...


def pieces(z: Array, labels: Array, weights: Array, min_rows: int = 64) -> list[Piece]:
    """Return rows in pieces of PIECE values, and of at least `min_rows` rows."""
    step = max(min_rows, PIECE // z.shape[1])
    slices = [slice(low, min(low + step, len(z))) for low in range(0, len(z), step)]
    return [Piece(z[at], labels[at], weights[at], at) for at in slices]


@dataclass(frozen=True, eq=False)
class MemoryData:
    """Rows in memory: z (N, K) float32 or float64, labels (N,), weights (N,) that sum to 1."""

    z: Array
    labels: Array
    weights: Array
    in_memory: bool = True

    @property
    def float32_first(self) -> bool:
        return self.z.dtype == np.float32 and self.z.size > SINGLE

    @cached_property
    def pieces(self) -> list[Piece]:
        """All rows in pieces."""
        return pieces(self.z, self.labels, self.weights)

    def sum(self, work: Callable[[Piece], Array], min_rows: int = 0) -> Array:
        """Return the sum of `work` over all rows, in pieces of at least `min_rows`."""
        some = pieces(self.z, self.labels, self.weights, min_rows) if min_rows else self.pieces
        return add_up(ordered(work, some, cores() if self.z.size > SMALL else 1))


def ready(z: Array, dtype: type) -> Array:
    """Return z in the dtype of the pass, column by column if classes are few."""
    return z.astype(dtype, order="F" if z.shape[1] < FEW else "K", copy=False)


def single(z: Array) -> Array:
    """Return z in float32."""
    return z.astype(np.float32, copy=False)
