"""Kinds of metrics: one record per kind, by what the metric is computed from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

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
        ideal: the value that a calibrated model has, where neither lower nor higher is better.
        least, most: the range of the metric.
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
    sees: str = ""
    blind: str = ""


@dataclass(frozen=True)
class BinnedError(MetricEntry):
    """A binned calibration error, norm(profile(view)): which scores, which bins, which norm.

    0 is perfect. The view "auto" is `positive` for two classes given as one column, and `top`
    otherwise.
    """

    _: KW_ONLY
    view: str = "auto"
    profile: str = "equal_width"
    norm: str = "l1"


@dataclass(frozen=True)
class CellMetric(MetricEntry):
    """Any other function of the cells of a view.

    Attributes:
        of: of(cells, **options), an array over the leading axes of the cells.
        view: the default view. "auto" is as for `BinnedError`; "ranks" is `positive` for two
            classes and `class` for more.
        error: True for a calibration error: never negative, 0 at perfect calibration, pushed up by
            noise. Its interval comes from candidate truths. The replicates of other metrics are
            centred on the value.
        interval: a closed form, interval(cells, level) to (low, high), or None.
        target: target(cells, **options), what `of` estimates, of cells whose outcomes are their
            true rates; None where that is `of` itself.
        biased: True for a metric that noise shifts in one direction although it is no error. Its
            interval is taken around a smoothed version of the data.
        pushed: True for a metric whose replicates noise pushes up once more, although little: its
            interval also contains the basic one, which takes that off.
        settle: settle(cells, **options) to options, for options whose default depends on the data.
        cuts: cuts(**options) to scores at which the metric jumps; cells must not straddle them.
    """

    of: Callable[..., Array]
    _: KW_ONLY
    view: str = "auto"
    error: bool = False
    interval: Callable[..., tuple[float, float]] | None = None
    target: Callable[..., Array] | None = None
    biased: bool = False
    pushed: bool = False
    settle: Callable[..., dict[str, float]] | None = None
    cuts: Callable[..., Sequence[float]] | None = None


@dataclass(frozen=True)
class Score(MetricEntry):
    """The weighted mean of one value per row.

    Attributes:
        rows: rows(rows, **options) to one value per row, (N,).
        needs: the columns of `Rows` that `rows` reads besides confidence and correctness.
        reach: reach(value, n, level) to (low, high), which the interval has to contain besides
            what resampled rows give; or None.
    """

    rows: Callable[..., Array]
    _: KW_ONLY
    needs: tuple[str, ...] = ()
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
    """

    of: Callable[..., float]
    _: KW_ONLY
    replicates: Callable[..., Array] | None = None


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
    """

    label: Array
    predicted: Array
    correct: Array
    mean: Array
