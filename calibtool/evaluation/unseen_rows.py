"""The unseen row of metrics of whole rows: rows that were seen, with the labels that they may have.

`intervals.unseen` says what the unseen row is; here it gets its values. A sample of the predictions
is kept with all its columns, labels are set, and the rows are reduced like any others, so that
every score has a value for the unseen row, and so does one that is added later.

Two classes are one binary problem, the score P(class 1) and the outcome [label = 1]; the row may
also be right, or wrong, whichever class that is. Of more classes, or confidences alone, the score
is the confidence, and the outcome whether the row is right. A wrong label is drawn from all other
classes alike where the row is, and otherwise by the row's own probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.rows import Rows, reduce_rows, to_probs
from calibtool.evaluation.measurement import Measurement
from calibtool.evaluation.unseen_cells import MANY
from calibtool.intervals import unseen
from calibtool.intervals.draws import Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.spec import Spec
from calibtool.types import Array

INFINITE = "every score is 0 or 1, so that one row of the other outcome would make it infinite"
# Rows of the sample: a replicate draws one, or three, so that a few thousand are as good as all.
SAMPLE = 1 << 12
# Values of the sample: of 1,000 classes it has 1,048 rows, or 4 MB of float32.
SAMPLE_VALUES = 1 << 20


def sampled(rows: int, classes: int | None, seed: int) -> Array:
    """Return the positions of the rows that are kept, increasing; all of them, if they are few."""
    most = min(SAMPLE, max(SAMPLE_VALUES // (classes or 1), 256))
    if rows <= most:
        return np.arange(rows)
    drawn = np.sort(generator(Stream.UNSEEN, seed, 4).integers(0, rows, most))
    # each once; numpy.unique imports numpy.ma, which takes a twentieth of a short command
    return np.asarray(drawn[np.diff(drawn, prepend=-1) > 0])


@dataclass(frozen=True, eq=False)
class Case:
    """What the unseen row is in every replicate, for one kind.

    Attributes:
        value: (R,) what a score gives it.
        weight: (R,) its weight.
    """

    value: Array
    weight: Array


@dataclass(frozen=True, eq=False)
class Labelled:
    """The sample with one label per row, and which row each replicate draws.

    Attributes:
        labels: (M,) the labels; of confidences alone, whether each row is right.
        rows: one value per row, as if they had these labels.
        at: (R,) the row of each replicate.
    """

    labels: Array
    rows: Rows
    at: Array


@dataclass(frozen=True, eq=False)
class UnseenRows:
    """The rows of which the unseen one may be.

    Attributes:
        sample: predictions that were seen; their own labels do not count.
        draws: the replicates.
        columns: the columns of `Rows` that are filled only on request.
        count: (M,) how many rows each of the sample stands for; None for one each.
        mass: (R,) weight of the unseen row before it is drawn, such as that of a whole cluster;
            None for that of the row that it is like.
    """

    sample: Predictions
    draws: Draws
    columns: frozenset[str] = frozenset()
    count: Array | None = None
    mass: Array | None = None

    @cached_property
    def labelled(self) -> list[Labelled]:
        """The six kinds of `intervals.unseen`; of two classes, also a right and a wrong row."""
        plain = self._reduced(None)
        binary = self.sample.classes == 2
        score = plain.positive if binary else plain.confidence
        assert score is not None
        count = np.ones(len(score)) if self.count is None else self.count
        kinds = unseen.kinds(score.astype(np.float64), count, self.draws)
        dtype = bool if self.sample.classes is None else int
        same = {o: self._labelled(np.full(len(score), o, dtype)) for o in unseen.OUTCOMES}
        if self.sample.classes is None:
            return [same[kind.outcome](kind.at) for kind in kinds]
        assert plain.predicted is not None
        right = plain.predicted.astype(np.int64)
        if binary:
            alike = kinds[0].at
            found = [same[kind.outcome](kind.at) for kind in kinds]
            return [*found, *(self._labelled(x)(alike) for x in (right, 1 - right))]
        rng = generator(Stream.UNSEEN, self.draws.seed, 5)
        wrong = unseen.wrong_labels(to_probs(self.sample).matrix(), right, rng)
        hit, missed, other = map(self._labelled, (right, *wrong))
        return [
            (hit if kind.outcome else (missed if k < 2 else other))(kind.at)
            for k, kind in enumerate(kinds)
        ]

    def _labelled(self, labels: Array) -> Callable[[Array], Labelled]:
        """Return what makes a `Labelled` of the drawn rows, with these labels."""
        return partial(Labelled, labels, self._reduced(labels))

    def is_share(self, spec: Spec) -> bool:
        """Return whether a score is a share of rows that have equal weights."""
        values = spec.of_rows(self.labelled[0].rows)
        return values.dtype == bool and self.mass is None and self.sample.weights is None

    def weight(self, at: Array) -> Array:
        """Return the weight of the unseen row in every replicate, (R,), where it is like row
        `at`."""
        drawn = unseen.weights(self.draws)
        if self.mass is not None:
            return drawn * self.mass
        return drawn if self.sample.weights is None else drawn * self.sample.weights[at]

    def cases(self, spec: Spec) -> list[Case] | None:
        """Return what a score may be for the unseen row, one case per kind; none for a score that
        no label changes.

        An infinite value does not count: a mean that is finite on the data is taken to be finite.
        None where all rows would be infinite with one of the labels, so that the mean has no bound.
        """
        values: dict[int, Array] = {}
        for one in self.labelled:
            if id(one.rows) not in values:
                value = np.asarray(spec.of_rows(one.rows), np.float64)
                values[id(one.rows)] = value
        first, *others = values.values()
        if all(np.array_equal(first, other) for other in others):
            return []
        found = []
        for one in self.labelled:
            value = values[id(one.rows)]
            finite = np.flatnonzero(np.isfinite(value))
            if not len(finite):
                return None
            at = np.where(np.isfinite(value[one.at]), one.at, finite[one.at % len(finite)])
            found.append(Case(value[at], self.weight(at)))
        return found

    def changes(self, spec: Spec, after: UnseenRows) -> list[Case]:
        """Return by how much a score may change for the unseen row, one case per kind.

        The row is drawn as before the change, and is the same after it. Of a row with an infinite
        score nothing is known; another one is taken.

        Args:
            spec: the score.
            after: the same rows after the change.
        """
        moved: dict[int, Array] = {}
        found = []
        for one in self.labelled:
            key = id(one.rows)
            if key not in moved:
                values = [
                    np.asarray(spec.of_rows(rows), np.float64)
                    for rows in (one.rows, after._reduced(one.labels))
                ]
                with np.errstate(invalid="ignore"):
                    moved[key] = values[1] - values[0]
            change = moved[key]
            finite = np.flatnonzero(np.isfinite(change))
            if len(finite):
                at = np.where(np.isfinite(change[one.at]), one.at, finite[one.at % len(finite)])
                found.append(Case(change[at], self.weight(at)))
        return found

    def _reduced(self, labels: Array | None) -> Rows:
        """Return the sample's values per row with these labels (whether rows are right, for
        confidences alone), or with its own."""
        sample = self.sample
        if labels is not None:
            known = "correct" if sample.classes is None else "labels"
            sample = replace(sample, **{known: labels})  # type: ignore[arg-type]
        return reduce_rows(sample, want={*self.columns, "labels", "predicted"})


@dataclass(frozen=True, eq=False)
class FewRows:
    """The rows that show an outcome that few show.

    Attributes:
        rows: their positions, increasing.
        swapped: (R, rows) what `intervals.unseen.swapped` adds to their drawn weights.
    """

    rows: Array
    swapped: Array

    @staticmethod
    def of(rows: Rows, draws: Draws) -> FewRows | None:
        """Return the rows that are wrong, or right, or of a class, if fewer than MANY are; None if
        there are none, or rows are drawn as units."""
        if draws.grouped:
            return None
        some = np.zeros(len(rows.correct), bool)
        for outcome in (rows.correct, rows.outcome):
            if outcome is None:
                continue
            ones = int(np.count_nonzero(outcome))
            if ones < MANY:
                some |= outcome
            if len(outcome) - ones < MANY:
                some |= ~outcome
        at = np.flatnonzero(some)
        return FewRows(at, unseen.swapped(draws, at)) if len(at) else None


def mean_ends(
    replicates: Array,
    total: Array | float,
    cases: Sequence[Case],
    level: float,
    bounds: tuple[float, float],
) -> unseen.Ends | None:
    """Return the interval of a mean.

    Args:
        replicates: (R,) the mean in each replicate.
        total: the weight of each replicate.
        cases: what the unseen row may be.
        level: of the interval.
        bounds: the metric's range.
    """
    size = len(replicates)  # with a few rows, a replicate may have drawn none of them
    return unseen.ends(
        [
            unseen.mean_with(replicates, total, case.value[:size], case.weight[:size])
            for case in cases
        ],
        level,
        *bounds,
    )


def cases_of_bias(
    score: Array, draws: Draws, count: Array, weight: Array, mass: Array | None = None
) -> list[Case]:
    """Return what score - outcome may be for the unseen row.

    Args:
        score: (M,) scores of a view that were seen.
        draws: the replicates.
        count: (M,) how many rows have each.
        weight: (M,) weight of a row with each score.
        mass: as of `UnseenRows`.
    """
    wide, drawn = score.astype(np.float64), unseen.weights(draws)
    return [
        Case(wide[kind.at] - kind.outcome, drawn * (weight[kind.at] if mass is None else mass))
        for kind in unseen.kinds(wide, count, draws)
    ]


def with_ends(measurement: Measurement, ends: unseen.Ends | None, method: str) -> Measurement:
    """Return a measurement with this interval, or with its own where there is none."""
    if ends is None:
        return measurement
    return replace(measurement, interval=(ends.low, ends.high), error=ends.error, method=method)
