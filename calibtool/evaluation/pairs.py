"""Pairs: how far apart the true errors of two variants can be, by what their rows have in common.

A calibration error is a norm of a gap, so that two of them differ by at most the norm of the
difference of the gaps (the triangle inequality):

    |error(after) - error(before)| <= norm(gap after - gap before) = D.

In that difference a row that stays in its bin counts with the change of its residual alone (for an
equal outcome: the change of its score), however noisy its outcome is. Without a change D is 0.

The D of the rows is too large, if anything, as noise pushes norms up. A norm is the maximum of
linear functions of the gap (its dual); at the one that is largest in truth, D of the rows is at
least the true D plus noise of mean 0. So the true D is below D + z s but for the tail of z, where s
is the largest standard deviation of any of these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from calibtool.data.rows import Rows
from calibtool.evaluation.apart import Together
from calibtool.evaluation.binned_pairs import of_bins
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.curve_pairs import CURVES, of_curves
from calibtool.evaluation.unseen_rows import FewRows, UnseenRows
from calibtool.intervals import unseen
from calibtool.intervals.difference import Discordant
from calibtool.intervals.draws import Draws
from calibtool.metrics.kinds import BinnedError, Score
from calibtool.metrics.spec import Spec
from calibtool.types import Array

# Metrics that are shares of rows: their changes are counted in rows.
SHARES = ("accuracy", "top-k-accuracy")


def reach(
    spec: Spec,
    before: Collected,
    after: Collected,
    edges: tuple[tuple[Array, ...], tuple[Array, ...]],
    cluster: Array | None,
    level: float,
) -> float | None:
    """Return how far apart the true errors of two variants of the same rows may be at a level.

    Args:
        spec: the error.
        before, after: the variants.
        edges: upper edges of the bins of each problem, before and after; of binned errors.
        cluster: (N,) the number of each row's cluster, or None.
        level: of the interval of the change.

    Returns None where no bound is known: the error is no norm of a gap, or its rows are in other
    problems than before.
    """
    deviate = NormalDist().inv_cdf((1 + level) / 2)
    together = Together(before.rows.weights, cluster, len(before.rows.confidence))
    if isinstance(spec.metric, BinnedError):
        apart = of_bins(spec, before, after, edges, together)
    elif spec.metric.name in CURVES:
        apart = of_curves(spec, before, after, together, deviate)
    else:
        return None
    return None if apart is None else apart.distance + deviate * apart.spread


def discordant(spec: Spec, before: Rows, after: Rows) -> Discordant | None:
    """Return how many rows differ between two variants in what a metric is the share of.

    Returns None for other metrics and weighted rows; and where both variants predict the same class
    in every row, as after a temperature: whatever its label, no row that was seen would differ.
    """
    metric = spec.metric
    if not isinstance(metric, Score) or metric.name not in SHARES or before.weights is not None:
        return None
    a, b = (spec.of_rows(rows) for rows in (before, after))
    same = True
    if before.predicted is not None and after.predicted is not None:
        same = np.array_equal(before.predicted, after.predicted)
    if same and np.array_equal(a, b):
        return None
    return Discordant(float((b & ~a).sum()), float((a & ~b).sum()), float(len(a)))


@dataclass(frozen=True, eq=False)
class WithUnseen:
    """Changes of means of the same rows with one row that was not seen (`intervals.unseen`).

    The row is the same before and after, so that what no label changes is not doubted.

    Attributes:
        before, after: the rows of the two variants.
        draws: the replicates.
        columns: the columns of `Rows` that the means need.
    """

    before: Collected
    after: Collected
    draws: Draws
    columns: frozenset[str]

    def replicates(self, spec: Spec, changes: Array) -> list[Array] | None:
        """Return the replicates of a metric's change with that row, (R,) for each kind of row.

        Args:
            spec: the metric.
            changes: (R,) its change in each replicate.

        Returns None for a metric that is no mean of rows, or that is fitted to other rows.
        """
        if not spec.is_mean or self._rows is None:
            return None
        weights = self.before.rows.weights
        cases = self._rows[0].changes(spec, self._rows[1])
        total: Array | float = float(self.draws.rows if weights is None else weights.sum())
        few = self._few
        if few is not None and len(few.swapped) == len(changes):
            variants = (self.before, self.after)
            values = [spec.of_rows(x.rows)[few.rows].astype(np.float64) for x in variants]
            added = few.swapped * (1.0 if weights is None else weights[few.rows])
            with np.errstate(invalid="ignore"):  # rows of weight 0 may be infinite
                each = values[1] - values[0]
            sums = changes * total + added @ np.where(np.isfinite(each), each, 0)
            total = total + added.sum(axis=1)
            changes = sums / total
        size = len(changes)
        return [
            unseen.mean_with(changes, total, case.value[:size], case.weight[:size])
            for case in cases
        ] or None

    @cached_property
    def _rows(self) -> tuple[UnseenRows, UnseenRows] | None:
        """The rows of which the unseen one may be, before and after; None where none were kept."""
        first, second = self.before.sample, self.after.sample
        if first is None or second is None:
            return None
        mass = unseen.cluster_mass(self.draws, self.before.rows.weights)
        before, after = (
            UnseenRows(sample, self.draws, self.columns, mass=mass) for sample in (first, second)
        )
        return before, after

    @cached_property
    def _few(self) -> FewRows | None:
        """The rows that show an outcome that few show."""
        return FewRows.of(self.before.rows, self.draws)


class UnseenPairs:
    """The unseen rows of any two of several variants, which all metrics share."""

    def __init__(
        self, specs: Sequence[Spec], variants: Sequence[Collected], draws: Draws | None
    ) -> None:
        self.variants, self.draws = variants, draws
        scores = [s.metric for s in specs if s.is_mean and isinstance(s.metric, Score)]
        self.columns = frozenset(column for score in scores for column in score.needs)
        self._known: dict[tuple[int, int], WithUnseen] = {}

    def replicates(self, spec: Spec, before: int, after: int, changes: Array) -> list[Array] | None:
        """Return what `WithUnseen.replicates` does of two variants, by number; None without
        draws."""
        if self.draws is None:
            return None
        pair = before, after
        if pair not in self._known:
            first, second = (self.variants[one] for one in pair)
            self._known[pair] = WithUnseen(first, second, self.draws, self.columns)
        return self._known[pair].replicates(spec, changes)
