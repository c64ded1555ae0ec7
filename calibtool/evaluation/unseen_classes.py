"""The unseen row of the class view: one row, which is in the problems of all classes.

It is like a row that was seen, and right or wrong (`intervals.unseen`): its label is the class that
is predicted there, or another one, drawn from all others alike or by the row's own probabilities.
It moves the metric of every class by its influence there, the derivative by its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibtool.evaluation.fine_cells import Fine
from calibtool.evaluation.measurement import Measurement
from calibtool.evaluation.unseen_cells import MANY, More, influence, surprises
from calibtool.evaluation.unseen_rows import with_ends
from calibtool.intervals import unseen
from calibtool.intervals.draws import Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells
from calibtool.types import Array

FEW_OF_CELLS = "so few rows surprise that cells, which hold no rows, cannot tell"


@dataclass(frozen=True, eq=False)
class UnseenOfClasses:
    """One kind of unseen row, in every replicate.

    Attributes:
        at: (R,) the row that it is like.
        label: (R,) its label.
        weight: (R,) its weight.
    """

    at: Array
    label: Array
    weight: Array

    def effect(self, influences: Sequence[Array], places: Sequence[Array]) -> Array:
        """Return by how much the row moves the mean over the classes, (R,).

        Args:
            influences: by class, of a row with outcome 0 and 1 in every cell, (2, C).
            places: by class, the cell of every row, (N,).
        """
        moved = np.zeros(len(self.at))
        for k, (of_class, place) in enumerate(zip(influences, places, strict=True)):
            moved += of_class[(self.label == k).astype(np.int64), place[self.at]]
        return self.weight * moved / len(influences)


def unseen_of_classes(
    probs: Array, weights: Array | None, draws: Draws, mass: Array | None
) -> list[UnseenOfClasses]:
    """Return the six kinds of unseen row.

    Args:
        probs: (N, K) probabilities that were seen.
        weights: (N,) weights, or None.
        draws: the replicates.
        mass: (R,) weight of the unseen row before it is drawn, such as that of a whole cluster;
            None for that of the row that it is like.
    """
    rows, predicted = np.arange(len(probs)), probs.argmax(axis=1)
    confidence = probs[rows, predicted].astype(np.float64)
    drawn = unseen.weights(draws)
    found = []
    for k, kind in enumerate(unseen.kinds(confidence, np.ones(len(rows)), draws)):
        label = predicted[kind.at]
        if not kind.outcome:
            rng = generator(Stream.UNSEEN, draws.seed, 11, k)
            label = unseen.wrong_labels(probs[kind.at], label, rng)[0 if k < 2 else 1]
        own = 1.0 if weights is None else weights[kind.at]
        found.append(UnseenOfClasses(kind.at, label, drawn * (own if mass is None else mass)))
    return found


def of_classes(
    measurement: Measurement,
    kinds: Sequence[UnseenOfClasses] | None,
    functions: Sequence[Callable[[Cells], Array]],
    fine: Sequence[Fine],
    level: float,
    limits: tuple[float, float],
    *,
    pushed: bool,
) -> Measurement:
    """Return the measurement of a mean over the classes with an interval, by one unseen row.

    Args:
        measurement: the mean, with its replicates.
        kinds: what the row may be; None where there are no rows.
        functions: by class, the metric of its cells.
        fine: by class, its fine cells.
        level: of the interval.
        limits: the metric's range.
        pushed: as of `CellMetric`.
    """
    value, replicates = measurement.value, measurement.replicates
    assert value is not None
    assert replicates is not None
    if kinds is None:  # a bootstrap of counts does, unless hardly a row surprises
        few = sum(map(surprises, fine)) < 2 * MANY
        return replace(measurement, without=FEW_OF_CELLS) if few else measurement
    pairs = zip(functions, fine, strict=True)
    influences = [influence(of, More.of(of_class.cells)) for of, of_class in pairs]
    places = [cells.where for cells in fine]
    moved = [replicates + kind.effect(influences, places) for kind in kinds]
    if pushed:
        moved.append(2 * value - replicates)
    return with_ends(measurement, unseen.ends(moved, level, *limits), "unseen")
