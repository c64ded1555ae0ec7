"""Intervals of predictions that are streamed and come in rows of several, such as images.

Values are those of the summary; replicates are sums by unit (`streaming.unit_sums`) weighted by the
draws that resample the rows of the file whole, as they are where the predictions fit in memory.
Metrics that are no such sums, because they depend on the order of all scores, have no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from calibtool.evaluation.cell_scores import kept
from calibtool.evaluation.collect import of_units
from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.evaluation.profile_errors import ProfileErrors, SharedProfiles
from calibtool.evaluation.request import Request
from calibtool.evaluation.unseen_rows import (
    INFINITE,
    Case,
    cases_of_bias,
    mean_ends,
    with_ends,
)
from calibtool.evaluation.unseen_sums import informative, unseen_of
from calibtool.intervals import bootstrap, unseen
from calibtool.intervals.draws import UNITS, Draws
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import Score
from calibtool.metrics.profiles import profile
from calibtool.metrics.spec import ONE_SCORE, Spec
from calibtool.streaming.streamed import has_engine, max_rows
from calibtool.streaming.summary import Summary
from calibtool.streaming.unit_sums import UnitColumns, UnitSums, bins_of
from calibtool.types import Array

# Rows of the file up to which they are resampled: their numbers take 256 MB.
MOST_UNITS = 1 << 24


def draws_of_units(request: Request) -> Draws | None:
    """Return the weights of the rows of the file, each of which is a cluster; None where no
    interval is made, there are too many rows, or an engine reads them."""
    unit, predictions = request.unit, request.predictions
    if unit is None or request.resampling.ci == "none" or has_engine(predictions):
        return None
    held = getattr(predictions, "extra", {})
    numbers = held.get(unit.column) if isinstance(held, dict) else None
    count = -(-max_rows(predictions) // unit.per)
    if numbers is not None:
        count = int(numbers.max(initial=-1)) + 1
    if not 0 < count <= MOST_UNITS:
        return None
    return request.resampling.draws(count, np.arange(count))


@dataclass(frozen=True, eq=False)
class UnitIntervals:
    """The intervals of one variant.

    Attributes:
        summary: its sums over all predictions.
        columns, sums: its sums by unit.
        settings: with the draws of the units.
    """

    summary: Summary
    columns: UnitColumns
    sums: UnitSums
    settings: Settings

    def measure(self, specs: Sequence[Spec], measured: Sequence[Measurement]) -> list[Measurement]:
        """Return the measurements with the intervals that sums by unit give."""
        shared, found = SharedProfiles(), []
        for spec in specs:  # those on the same bins are drawn once
            if (key := self._bins_of(spec)) is not None:
                shared.want(key)
        for spec, one in zip(specs, measured, strict=True):
            found.append(self._measured(spec, one, shared))
        return found

    def _measured(self, spec: Spec, one: Measurement, shared: SharedProfiles) -> Measurement:
        key = self._bins_of(spec)
        if key is not None:
            made = shared.take(key, lambda: self._profile(spec))
            return one if one.value is None else made.measure(spec, one.value)
        if isinstance(spec.metric, Score) and one.value is not None and np.isfinite(one.value):
            return self._mean(spec, frozenset(spec.metric.needs), one.value)
        return one

    def bias(self, bias: Measurement, view: str) -> Measurement:
        """Return the mean gap with its interval."""
        if bias.value is None:
            return bias
        cells, count, weight = informative(self.summary, view)
        cases = cases_of_bias(cells.centres(), self._draws, count, weight, self._mass)
        return self._with_cases(bias.value, self.dense[:, self._at("gap")][:, 0], cases, (-1, 1))

    @property
    def _draws(self) -> Draws:
        assert self.settings.draws is not None
        return self.settings.draws

    def _at(self, key: object) -> slice:
        return self.columns.places[key]

    @cached_property
    def dense(self) -> Array:
        """The sums of all units, (units, columns)."""
        return self.sums.dense(self._draws.count)

    @cached_property
    def _mass(self) -> Array | None:
        """The weight of an unseen row of the file in every replicate; where several rows are drawn
        as one unit, that of a mean one."""
        weight = self.dense[:, 0]
        clusters = self._draws.cluster
        assert clusters is not None
        if len(clusters) > UNITS:
            return np.full(self._draws.replicates, weight.sum() / len(clusters))
        weight = weight[weight > 0]
        return unseen.cluster_mass(replace(self._draws, cluster=np.arange(len(weight))), weight)

    def _mean(self, spec: Spec, columns: frozenset[str], value: float) -> Measurement:
        """Measure the mean of one value per prediction, which these columns of it give."""
        name, factor = kept(spec, self.summary)
        if name not in self.columns.places:
            return Measurement(value)
        found = unseen_of(self.summary, self._draws, columns)
        cases = [] if found is None else replace(found, mass=self._mass).cases(spec)
        sums = factor * self.dense[:, self._at(name)][:, 0]
        return self._with_cases(value, sums, cases, spec.limits)

    def _with_cases(
        self,
        value: float,
        sums: Array,
        cases: Sequence[Case] | None,
        bounds: tuple[float, float],
    ) -> Measurement:
        """Return a mean with its replicates, and an interval by what an unseen row may be."""
        weight = self.dense[:, 0]
        centred = sums - value * weight
        scale = float(np.abs(centred).max()) or 1.0
        drawn = of_units(np.stack([weight, centred / scale], axis=1), self._draws)
        total = drawn[:, 0]
        some = total > 0  # of a few units, a replicate may draw none
        total, moved = total[some], drawn[some, 1]
        replicates = value + scale * moved / total
        skew = bootstrap.skewness(centred[weight > 0])
        measurement = Measurement(value, replicates=replicates, acceleration=skew)
        if not self.settings.inverted or not cases:
            lacking = cases is None and self.settings.inverted
            return replace(measurement, without=INFINITE) if lacking else measurement
        ends = mean_ends(replicates, total, cases, self.settings.level, bounds)
        return with_ends(measurement, ends, "unseen")

    # ------------------------------------------------------------------ bins

    def _bins_of(self, spec: Spec) -> object | None:
        """Return the key of the columns of a binned error; None where there are none."""
        key = bins_of(spec)
        return key if key in self.columns.places else None

    def _profile(self, spec: Spec) -> ProfileErrors:
        """Return the profile of an error, with its replicates."""
        edges = spec.edges(Cells.empty())
        key = self._bins_of(spec)
        shape = (2, len(edges)) if spec.view in ONE_SCORE else (2, self.columns.classes, len(edges))
        flat = np.concatenate([self.dense[:, :1], self.dense[:, self._at(key)]], axis=1)
        drawn = of_units(flat, self._draws)
        total = drawn[:, 0]
        some = total > 0
        shares = drawn[some, 1:] / total[some, None]
        mass, gap = np.moveaxis(shares.reshape(-1, *shape), 1, 0)
        cells = self.summary.cells(spec.view).pool(edges)
        squares = self.summary.squares(spec.view)
        of_bin = Cells(self.summary.ends(spec.view), squares, squares, squares).pool(edges).n
        # every class has all rows
        rows = float(np.ravel(cells.total)[0]) ** 2 / float(of_bin.reshape(-1, len(edges))[0].sum())

        def count() -> Array:
            return np.divide(cells.n**2, of_bin, out=np.zeros_like(cells.n), where=of_bin > 0)

        counts = count if self.summary.weighted else None
        return ProfileErrors(profile(cells), gap, np.maximum(mass, 0), rows, self.settings, counts)
