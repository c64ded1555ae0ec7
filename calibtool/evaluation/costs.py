"""Costs: about how many seconds the parts of a measurement take. Progress alone depends on them.

They were measured on 2,000 to 2,000,000 rows of 2 to 100 classes, on a machine of 2026 with two
cores. What matters is how large they are beside each other: `Work` corrects their size while the
work goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.evaluation.resampling import Resampling
from calibtool.intervals.draws import DRAWING, EXACT_ROWS, UNITS
from calibtool.metrics.kinds import BinnedError, CellMetric, CountMetric, MatrixMetric, Score
from calibtool.metrics.spec import Spec

READING = 2e-7  # of a number that is read; of text it is several times as much
REFINING = 1e-6  # of a number that calibrators are fitted to on the way
SUMMING = 2e-7  # of a number that is read and summed in cells
UNIT = 5e-8  # of a row that is put into one of the units that are drawn
SMALL = 0.005  # of what needs no draws of its own
VALUE, OF_CURVE = 0.015, 1e-7  # of the value of one metric of curves, and of each row of it
PAIRED, MOST_PAIRED = 9e-5, 10_000  # of a row of a metric of pairs, and the most rows it takes
OF_MATRIX = 4.5e-6  # of a row of another metric of whole rows
EXACT = 9e-6  # of a row of an interval that is found without replicates
CANDIDATES = 1.4e-4  # of a replicate of the candidate truths of an error
REPLICATES = 1.7e-5  # of a replicate of another metric of curves
# Of drawing the sums of all columns once: sums of labels and hits by class, a kernel's, and those
# of one binary problem by bin.
COUNTS, KERNEL, BINS = 2.0, 2.7, 0.75


def drawing(rows: int, replicates: int) -> float:
    """Return how long it takes to draw the weights of all rows once."""
    if rows > EXACT_ROWS:
        return UNIT * rows + DRAWING * UNITS * replicates
    return DRAWING * rows * replicates


class Finishing:
    """How long it takes to finish the metrics of a variant, one after another: several of them
    share what the first one draws."""

    def __init__(self, rows: int, classes: int | None, resampling: Resampling) -> None:
        self.rows, self.classes = rows, classes or 1
        self.replicates = 0 if resampling.ci == "none" else resampling.resamples
        self.inverted = resampling.ci == "inverted"
        self.drawn = drawing(rows, self.replicates)
        self.begun: set[tuple[object, ...]] = set()

    def of(self, spec: Spec) -> float:
        """Return how long the next metric takes."""
        match spec.metric:
            case CountMetric():
                return SMALL + COUNTS * self.drawn
            case MatrixMetric():
                return SMALL + (KERNEL * self.drawn if spec.metric.replicates else 0.0)
            case Score():
                return SMALL
            case CellMetric(edges=None):
                return SMALL + self._curves(spec)
            case CellMetric() | BinnedError():
                return SMALL + self._bins(spec)
        return SMALL

    def _curves(self, spec: Spec) -> float:
        assert isinstance(spec.metric, CellMetric)
        if self.inverted and not spec.metric.replicated and not spec.is_error:
            return EXACT * self.rows
        problems = self.classes if spec.view in ("class", "label") else 1
        inverse = spec.is_error and self.inverted
        draws = self._first(inverse, spec.view) * BINS * self.drawn * problems
        return draws + (CANDIDATES if inverse else REPLICATES) * self.replicates

    def _bins(self, spec: Spec) -> float:
        if spec.view not in ("class", "label"):
            return 0.0
        if spec.view == "class" and spec.one_edge_for_all:
            return self._first("classes", str(spec.options.get("bins"))) * COUNTS * self.drawn
        problems = self.classes if spec.view == "class" else 1  # a row has one predicted class
        return self._first("bins", spec.name) * BINS * self.drawn * problems

    def _first(self, *key: object) -> bool:
        """Return whether this is asked for the first time."""
        first = key not in self.begun
        self.begun.add(key)
        return first and bool(self.replicates)


def of_rows(
    specs: Sequence[Spec], rows: int, classes: int | None, variants: int, resampling: Resampling
) -> dict[str, float]:
    """Return how long the parts of `evaluate_rows` take: metrics by `value` and `interval`."""
    every, at = range(variants), range(len(specs))
    finishing = [Finishing(rows, classes, resampling) for _ in every]
    values = [_value(spec, specs, rows) for spec in specs]
    refined = any(isinstance(s.metric, Score) and "refined" in s.metric.needs for s in specs)
    return {
        "reading": (REFINING if refined else READING) * rows * (classes or 1) * variants,
        **{value(k, number): values[number] for k in every for number in at},
        "resampling": drawing(rows, finishing[0].replicates),
        **{interval(k, n): finishing[k].of(specs[n]) for k in every for n in at},
    }


def value(variant: int, number: int) -> str:
    """Return the name of the part of the value of a metric, by its place among the metrics."""
    return f"value {number} of {variant}"


def interval(variant: int, number: int) -> str:
    """Return the name of the part of the interval of a metric, by its place among the metrics."""
    return f"interval {number} of {variant}"


def _value(spec: Spec, specs: Sequence[Spec], rows: int) -> float:
    """Return how long it takes to compute the value of a metric, without its interval; the first
    metric of the curves of a view computes all of them."""
    if isinstance(spec.metric, MatrixMetric):
        pairs = PAIRED * min(rows, MOST_PAIRED)
        return SMALL if spec.metric.replicates else pairs + OF_MATRIX * rows
    curves = [other for other in specs if other.is_curve and other.view == spec.view]
    first = bool(curves) and curves[0] is spec
    return SMALL + (VALUE + OF_CURVE * rows) * len(curves) * first


def of_cells(
    specs: Sequence[Spec], rows: int, classes: int | None, variants: int, resampling: Resampling
) -> dict[str, float]:
    """Return how long the parts of `evaluate_cells` take; cells are of a fixed number."""
    replicates = 0 if resampling.ci == "none" else resampling.resamples
    each = [CANDIDATES if spec.is_error else REPLICATES for spec in specs]
    return {
        "reading": SUMMING * rows * (classes or 1) * variants,
        "measuring": SMALL + sum(each) * replicates * variants,
    }
