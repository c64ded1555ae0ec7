"""Kinds of metrics: one record per kind, by what the metric is computed from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

from calibtool.metrics.cells import Cells
from calibtool.types import Array


@dataclass(frozen=True)
class MetricEntry:
    """The fields that every kind of metric has.

    Attributes:
        name: the name in spec strings.
        title: the name in words.
        definition: the formula.
        source: author, year, equation.
        better: "lower", "higher", "nearer" to `ideal`, or "" where none is.
        ideal: the best value: 0 of an error, 1 of a calibration slope; None where there is none.
        least, most: the range of the metric.
        limits: limits(**options) to (least, most), for a range that depends on options; or None.
        sees, blind: what changes the number, and what does not; for the metric's page.
    """

    name: str
    title: str
    definition: str
    source: str
    _: KW_ONLY
    better: str = "lower"
    ideal: float | None = None
    least: float = -math.inf
    most: float = math.inf
    limits: Callable[..., tuple[float, float]] | None = None
    sees: str = ""
    blind: str = ""


@dataclass(frozen=True)
class BinnedError(MetricEntry):
    """A binned calibration error, norm(profile(view)): which scores, which bins, which norm.

    0 is perfect, and 1 the most for any norm: a bin's gap lies in [-1, 1]. The view "auto" is
    `positive` for two classes given as one column, and `top` otherwise.
    """

    _: KW_ONLY
    ideal: float | None = 0
    least: float = 0
    most: float = 1
    view: str = "auto"
    profile: str = "equal_width"
    norm: str = "l1"


@dataclass(frozen=True)
class CellMetric(MetricEntry):
    """Any other function of the cells of a view.

    Attributes:
        of: of(cells, **options), an array over the leading axes of the cells.
        view: the default view. "auto" is as for `BinnedError`; of two classes, however they are
            given, "ranks" and "clinical" are `positive`, of more `class` and `top`.
        error: True for a calibration error: never negative, 0 at perfect calibration, pushed up by
            noise. Its interval comes from candidate truths. The replicates of other metrics are
            centred on the value.
        interval: a closed form, interval(cells, level, **options) to (low, high), or None.
        interval_name: the name of that form.
        replicated: False for a metric whose replicates do not scatter around its true value: it has
            no interval where the closed form does not hold.
        covers: False for an error whose candidate truths were measured to cover too seldom: it has
            no interval.
        target: target(cells, **options), what `of` estimates, of cells whose outcomes are their
            true rates; None where that is `of` itself.
        biased: True for a metric that noise shifts in one direction although it is no error. Its
            interval is taken around a smoothed version of the data.
        pushed: True for a metric whose replicates noise pushes up once more, although little: its
            interval also contains the basic one, which takes that off.
        settle: settle(cells, **options) to options, for options whose default depends on the data.
        cuts: cuts(**options) to scores at which the metric jumps; cells must not straddle them.
        refuted: refuted(cells) to the (score, outcome) of a row that leaves the metric undefined,
            or None.
        edges: edges(cells, **options) to the upper edges of bins, where the metric is a norm of
            their gaps; None for a metric of whole curves.
        of_profile: of_profile(profile, **options), that norm; reduces the last axis.
        counterpart: the metric to which noise adds as much as to this one, so that their difference
            is a part of the mean score that noise does not move: mcb and dsc.
        shifted: shifted(cells, gap, **options), the metric where all rates lie `gap` off the
            scores, which raises the interval's upper end (`intervals.shift`); None for no such
            rule.
        by_row: by_row(score, outcome, **options) to one value per row, (N,), whose mean the metric
            is, by which changes of it have an unseen row; None, or an answer of None, where it is
            no mean of rows.
        statistic: True for a test statistic, which says nothing without its p-value: that of
            outcomes redrawn from the scores.
        by_weight: True for a metric that depends on the weights of single rows: it is measured on
            cells of one weight each.
    """

    of: Callable[..., Array]
    _: KW_ONLY
    view: str = "auto"
    error: bool = False
    interval: Callable[..., tuple[float, float]] | None = None
    interval_name: str = "delong"
    replicated: bool = True
    covers: bool = True
    target: Callable[..., Array] | None = None
    biased: bool = False
    pushed: bool = False
    settle: Callable[..., dict[str, float]] | None = None
    cuts: Callable[..., Sequence[float]] | None = None
    refuted: Callable[[Cells], tuple[int, int] | None] | None = None
    edges: Callable[..., Array] | None = None
    of_profile: Callable[..., Array] | None = None
    counterpart: str = ""
    shifted: Callable[..., Array | float] | None = None
    by_row: Callable[..., Array | None] | None = None
    statistic: bool = False
    by_weight: bool = False


@dataclass(frozen=True)
class Score(MetricEntry):
    """The weighted mean of one value per row.

    Attributes:
        rows: rows(rows, **options) to one value per row, (N,).
        of_view: of_view(rows, view, **options), the same score of the one forecast of a view with
            one score per row, against its outcome; None for a score that has no views.
        needs: the columns of `Rows` that `rows` reads, which can read no other; without any, those
            that rows in memory always have.
        needs_of_many: those of them that it reads only with more than two classes.
        reach: reach(value, n, level) to (low, high), which the interval has to contain besides
            what resampled rows give; or None.
    """

    rows: Callable[..., Array]
    _: KW_ONLY
    of_view: Callable[..., Array] | None = None
    needs: tuple[str, ...] = ()
    needs_of_many: tuple[str, ...] = ()
    reach: Callable[[float, float, float], tuple[float, float]] | None = None


@dataclass(frozen=True)
class CountMetric(MetricEntry):
    """A function of class counts: of(counts).

    Attributes:
        of: of(counts), an array over the leading axes of the counts.
        rows: one value per row, whose mean is `counts.mean`; None where the metric needs none.
    """

    of: Callable[..., Array]
    _: KW_ONLY
    rows: Callable[..., Array] | None = None


@dataclass(frozen=True)
class MatrixMetric(MetricEntry):
    """A function of whole rows of probabilities, labels and weights.

    Attributes:
        of: of(probs, labels, weights, **options) to a number.
        replicates: replicates(probs, labels, drawn, **options) to bootstrap replicates, (R,), under
            the columns of row weights `drawn`, (N, R); None where there is no interval.
        of_confidences: of_confidences(confidence, correct, weights, **options), the same where only
            confidences are known; None for a metric that needs whole rows.
        below: True for a lower bound, which noise lowers.
    """

    of: Callable[..., float]
    _: KW_ONLY
    replicates: Callable[..., Array] | None = None
    of_confidences: Callable[..., float] | None = None
    below: bool = False


@dataclass(frozen=True)
class TwoFileMetric(MetricEntry):
    """How well one value per row separates these rows from those of a second file.

    Attributes:
        of: of(cells), where an outcome of 1 marks the rows of this file.
        scores: scores(rows, **options) to one value per row, between 0 and 1.
        interval: a closed form, interval(cells, level) to (low, high), or None.
    """

    of: Callable[..., Array]
    scores: Callable[..., Array]
    _: KW_ONLY
    interval: Callable[..., tuple[float, float]] | None = None


Metric: TypeAlias = BinnedError | CellMetric | Score | CountMetric | MatrixMetric | TwoFileMetric


@dataclass(frozen=True, eq=False)
class Counts:
    """Shares of the weight by class, (..., K), and the mean of one value per row, (...).

    Attributes:
        label: the share of rows with this label.
        predicted: the share of rows predicted as this class.
        correct: the share of rows with this label that are predicted as it.
        mean: the mean of the metric's own value per row; 0 where it has none.
        two_classes: whether the problem has two classes, so that a Brier score is half its sum.
    """

    label: Array
    predicted: Array
    correct: Array
    mean: Array
    two_classes: bool = False
