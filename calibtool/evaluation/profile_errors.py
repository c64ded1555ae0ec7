"""The errors of one profile: every norm is inverted once, and kept in order with the others.

Of the same bins ECE <= RMSCE <= MCE, and ECE is overconfidence error plus underconfidence error.
Intervals and corrected values are brought into the same order, whichever of the metrics were asked
for: an RMSCE looks at the ECE of its bins even where nobody wants to see that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.evaluation.occupied_bins import OccupiedBins
from calibtool.evaluation.unseen_cells import MANY
from calibtool.intervals import inversion, order, shift, single_bins
from calibtool.intervals.inversion import Inversion, Inverted, pieces
from calibtool.metrics.grammar import SIDES
from calibtool.metrics.profiles import Profile
from calibtool.metrics.spec import Spec
from calibtool.types import Array

# Norms that are never below the absolute mean gap, and their estimates; so is TACE, which has none.
NORMS_OF_ALL = ("l1", "l2", "debiased_l1", "debiased_l2")


class ProfileErrors:
    """The errors of a profile in one view, with replicates and inverted intervals."""

    def __init__(
        self,
        seen: Profile,
        gap: Array,
        mass: Array,
        rows: float,
        settings: Settings,
        count: Callable[[], Array] | None = None,
        null: Callable[[], Array] | None = None,
        bins: OccupiedBins | None = None,
    ) -> None:
        """Take a profile.

        Args:
            seen: the profile of the observed bins.
            gap, mass: (R, ...) the same in every replicate; (R, *bins.shape) of occupied bins.
            rows: the number of equally weighted rows that would be as informative.
            settings: how errors are measured.
            count: returns the same number for each bin; None where it is `rows` times the mass.
            null: draws the gaps of perfectly calibrated rows, (R, ...); None of many rows, and
                where rows are not at hand (`perfect`).
            bins: those of each class that replicates are made of; None of all bins.
        """
        self.seen, self.gap, self.mass, self.rows, self.bins = seen, gap, mass, rows, bins
        self.settings, self.count, self.null = settings, count, null
        self.last = False  # whether no other error of the profile will be measured
        self._inversion: Inversion | None = None
        self._own: dict[tuple[str, int | None], Inverted] = {}

    def measure(
        self, spec: Spec, value: float | None = None, edges: Sequence[Array] = ()
    ) -> Measurement:
        """Measure an error, with its replicates and, if it is the method, their inversion.

        Args:
            spec: the metric.
            value: that of the profile, where it is known already.
            edges: the upper edges of the bins of each problem; one for all classes in fixed bins.
        """
        value = float(spec.of_profile(self.seen)) if value is None else value
        norm, size = self._norm(spec), self.gap[:1].size
        parts = [norm(self.gap[at], self.mass[at]) for at in pieces(len(self.gap), size)]
        replicates = np.concatenate(parts).astype(np.float64)
        if not self.settings.inverted:
            return Measurement(value, replicates=replicates)
        inverse = self.inverse(spec)
        return Measurement(value, replicates=replicates, inverse=inverse, edges=tuple(edges))

    def inverse(self, spec: Spec) -> Inverted:
        """Return the interval of an error, in order with those of the same bins."""

        def of(norm: str) -> Inverted:
            return self.inverse(replace(spec, norm=norm))

        match spec.norm:
            case "l2":
                return order.raised(self._of(spec), of("l1"))
            case "worst":
                rmsce = self._of(replace(spec, norm="l2"))
                return order.raised(self._worst(spec), rmsce, of("l1"))
            case "average":
                return order.lowered(self._of(spec), of("worst"))
            case "over" | "under":
                over, under = (self._of(replace(spec, norm=norm)) for norm in ("over", "under"))
                return order.parts(over, under, of("l1"))[spec.norm == "under"]
        return self._of(spec)

    def _of(self, spec: Spec, *, band: bool = True) -> Inverted:
        """Return the interval of an error by itself."""
        key = spec.norm or spec.name, spec.without
        if key not in self._own:
            own = self.inversion.of(
                self._norm(spec),
                self._norm(spec, truth=True),
                SIDES.get(spec.norm, 0),
                band=band,
            )
            if spec.norm in (*NORMS_OF_ALL, ""):
                drift = self._drift
                reach = self._shift(spec) if drift is None else drift.largest
                own = own._replace(high=max(own.high, reach), drift=drift)
            self._own[key] = own
        return self._own[key]

    @cached_property
    def _shiftable(self) -> tuple[Array, Array, Array, Array]:
        """Gap, mass, score and number of rows of what may be shifted: of two classes, both are
        shifted by as much, and either shows the same."""
        seen = self.seen
        score = np.clip(np.asarray(seen.score), 0, 1)
        parts = (seen.gap, seen.mass, score, self._count)
        gap, mass, score, count = (x[1] for x in parts) if self.inversion.twins else parts
        return gap, mass, score, count

    @cached_property
    def _drift(self) -> shift.Drift | None:
        """The shifts of all scores that the mean gap does not refute: an error that sums all gaps
        is never below the mean gap. None of more than two classes."""
        gap, mass, score, count = self._shiftable
        if not np.isclose(mass.sum(), 1):
            return None
        if self._clustered:
            drawn = self.gap[:, 1] if self.inversion.twins else self.gap
            mean = drawn.reshape(len(drawn), -1).sum(axis=1, dtype=np.float64)
            count = count / shift.design_effect(mean, gap, mass, score, count)
        return shift.ends(score.ravel(), count.ravel(), float(gap.sum()), self.settings.level)

    def _shift(self, spec: Spec) -> float:
        """Return the largest shift of several classes that the mean gaps do not refute.

        Shifts of several are seldom as large as those of each at once; but where few rows are
        expected to surprise, each class counts.
        """
        gap, mass, score, count = self._shiftable
        level = self.settings.level
        if len(mass) > 2 and float((count * np.minimum(score, 1 - score)).sum()) >= 2 * MANY:
            return 0.0
        share = np.maximum(mass.sum(axis=-1), 1e-300)  # of the rows that a threshold leaves
        classes = zip(score, count, gap.sum(axis=-1) / share, strict=True)
        shifts = [shift.largest(s, n, float(g), level) for s, n, g in classes]
        return float(np.mean(shifts if spec.without is None else np.delete(shifts, spec.without)))

    def _worst(self, spec: Spec) -> Inverted:
        """Return the interval of the largest gap, whose ends are those of single bins.

        The candidates know the noise of a typical data set, but the worst bin may hold few rows:
        its own binomial interval reaches farther.
        """
        inverse, norm = self._of(spec, band=False), self._norm(spec, truth=True)
        observed = self.inversion.observed
        bins = (observed.delta, observed.score, self.inversion.count, self.settings.level)
        nearest, p_value = single_bins.nearest(*bins)
        farthest = single_bins.farthest(*bins)
        mass = self.inversion.mass
        low, high = (float(norm(gap * mass, mass)) for gap in (nearest, farthest))
        high = max(inverse.high, high, low)
        corrected = min(max(inverse.corrected, low), high)
        # no smaller than those of replicates
        return Inverted(low, high, corrected, max(p_value, 1 / (1 + len(self.gap))))

    @property
    def inversion(self) -> Inversion:
        """The profile with its noise. Where rows are clustered, it has as many independent rows as
        vary like the clusters: candidate truths are simulated with independent rows."""
        if self._inversion is None:
            draws = self.settings.draws
            assert draws is not None
            self._inversion = Inversion(
                *self._profile,
                count=self._listed(self._count),
                level=self.settings.level,
                seed=draws.seed,
                threads=self.settings.threads,
                null=self.null,
                # their gaps are looked at again where clusters are drawn
                owned=self.last and not self._clustered,
            )
        return self._inversion

    @property
    def _profile(self) -> tuple[Array, Array, Array, Array, Array]:
        """Gap, mass and score of the bins that replicates are made of, and their replicates."""
        seen = self.seen
        gap, mass, score = map(self._listed, (seen.gap, seen.mass, np.asarray(seen.score)))
        return gap, mass, score, self.gap, self.mass

    def _listed(self, values: Array) -> Array:
        """Return the values of the bins that replicates are made of, from those of all bins."""
        return values if self.bins is None else self.bins.take(values)

    @cached_property
    def _count(self) -> Array:
        """The number of independent rows of each bin."""
        count = self.seen.mass * self.rows if self.count is None else self.count()
        if self._clustered:
            effect = inversion.design_effect(*self._profile, self._listed(count))
            count = count / effect
        return np.asarray(count)

    @property
    def _clustered(self) -> bool:
        """Whether clusters of rows are resampled."""
        return self.settings.draws is not None and self.settings.draws.cluster is not None

    def _norm(self, spec: Spec, *, truth: bool = False) -> Callable[[Array, Array], Array]:
        score = self._listed(np.asarray(self.seen.score))

        def norm(gap: Array, mass: Array) -> Array:
            profile = Profile(gap, mass, score, self.rows)
            if self.bins is None:
                return spec.of_profile(profile, truth=truth)
            of_bins = partial(spec.of_bins, truth=truth)
            return spec.mean_of_classes(self.bins.of_each(of_bins, profile))

        return norm


class SharedProfiles:
    """Profiles of which several errors are measured: drawn once, and dropped after the last."""

    def __init__(self) -> None:
        self._wanted: Counter[Hashable] = Counter()
        self._made: dict[Hashable, ProfileErrors] = {}
        self._drawn: set[Hashable] = set()

    def want(self, key: Hashable) -> None:
        """Announce that a profile will be taken once more."""
        self._wanted[key] += 1

    def take(self, key: Hashable, make: Callable[[], ProfileErrors]) -> ProfileErrors:
        """Return a profile that was announced; `make` draws it the first time."""
        made = self._made.pop(key, None) or make()
        self._drawn.add(key)
        self._wanted[key] -= 1
        made.last = self._wanted[key] == 0
        if not made.last:
            self._made[key] = made
        return made

    def only(self, key: tuple[Hashable, ...]) -> bool:
        """Return whether no other profile of the same kind, the first part of the key, is still to
        be drawn."""
        left = self._wanted.keys() - self._drawn - {key}
        return not any(isinstance(other, tuple) and other[0] == key[0] for other in left)
