"""The bins of many classes that may hold rows, and errors of these bins alone.

A thousand rows leave nearly all bins of 32,000 classes empty, but for the first of each class.
Replicates of the others alone are a tenth as many numbers as those of all bins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calibtool.metrics.profiles import Profile
from calibtool.types import Array

# Share of all bins beyond which all are listed: it then takes longer to pick some than to compute
# with all.
MOST = 0.5


@dataclass(frozen=True, eq=False)
class OccupiedBins:
    """The bins of K classes, M each, of which replicates are made.

    Attributes:
        at: (U,) positions of these bins among all, class by class, increasing; the first bin of
            each class is one of them. All others are empty.
        classes, bins: K and M.
    """

    at: Array
    classes: int
    bins: int

    @classmethod
    def of(cls, at: Array, classes: int, bins: int) -> OccupiedBins:
        """Return the bins at these positions and the first of each class; all, where these are
        many, or there are two classes, which are compared bin by bin.

        >>> OccupiedBins.of(np.array([7, 7]), 3, 4).at
        array([0, 4, 7, 8])
        """
        held = np.zeros(classes * bins, bool)
        held[::bins] = held[at] = True
        listed = np.flatnonzero(held)
        if classes <= 2 or len(listed) > MOST * classes * bins:
            listed = np.arange(classes * bins)
        return cls(listed, classes, bins)

    @property
    def are_all(self) -> bool:
        """Whether all bins are listed."""
        return len(self.at) == self.classes * self.bins

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one number per listed bin: (K, M) of all, else (U,)."""
        return (self.classes, self.bins) if self.are_all else self.at.shape

    def take(self, values: Array) -> Array:
        """Return the values of the listed bins, of `shape`, from those of all bins, (K, M)."""
        return values if self.are_all else values.ravel()[self.at]

    def place(self, cells: Array) -> Array:
        """Return where among the listed bins each of some positions of them is."""
        return cells if self.are_all else np.searchsorted(self.at, cells)

    @cached_property
    def firsts(self) -> Array:
        """Where among the listed bins the first of each class is, (K,)."""
        return np.flatnonzero(self.at % self.bins == 0)

    def after_first(self, values: Array) -> Array:
        """Return the sums of all bins but the first of each class, (K, n), of values of the listed
        bins, (U, n); added bin by bin."""
        of_class, bin_of = np.divmod(self.at, self.bins)
        out = np.zeros((self.classes, values.shape[1]), values.dtype)
        for number in range(1, self.bins):
            here = np.flatnonzero(bin_of == number)
            out[of_class[here]] += values[here]
        return out

    def of_each(self, norm: Callable[[Profile], Array], profile: Profile) -> Array:
        """Return the norm of the bins of each class, (..., K).

        Args:
            norm: reduces the last axis of a profile; bins without rows add nothing to it.
            profile: of the listed bins: gap and mass, (..., *shape), and score, `shape`.
        """
        if self.are_all:
            return norm(profile)
        gap, mass, score = profile.gap, profile.mass, np.asarray(profile.score)
        rows = profile.rows
        # of a class with only its first bin, the norm is that of the bin
        with np.errstate(invalid="ignore"):  # other bins may be empty, and are not looked at
            single = norm(Profile(gap[..., None], mass[..., None], score[..., None], rows))
        out = np.take(single, self.firsts, axis=-1)
        which, source, target = self._several

        def spread(values: Array) -> Array:
            all_bins = np.zeros((*values.shape[:-1], len(which) * self.bins), values.dtype)
            all_bins[..., target] = np.take(values, source, axis=-1)
            return all_bins.reshape(*values.shape[:-1], -1, self.bins)

        out[..., which] = norm(Profile(spread(gap), spread(mass), spread(score), rows))
        return out

    @cached_property
    def _several(self) -> tuple[Array, Array, Array]:
        """The classes with more than their first bin, where their bins are among those that are
        listed, and among all bins of these classes."""
        count = np.diff(np.append(self.firsts, len(self.at)))
        of_class, bin_of = np.divmod(self.at, self.bins)
        source = np.flatnonzero((count > 1)[of_class])
        number = np.cumsum(count > 1)[of_class[source]] - 1
        return np.flatnonzero(count > 1), source, number * self.bins + bin_of[source]
