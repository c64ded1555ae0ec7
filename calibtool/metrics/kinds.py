"""The kinds of metric: what a line of the table is, by what it is computed from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from calibtool.types import Array


@dataclass(frozen=True)
class _Line:
    """What every line says.

    Attributes:
        name: of the spec string.
        title: in words.
        definition: the formula.
        source: author, year, equation.
        sees, blind: what moves it, and what it cannot see; for its page.
        better: "lower", "higher" or "" for neither.
    """

    name: str
    title: str
    definition: str
    source: str


@dataclass(frozen=True)
class BinnedError(_Line):
    """A binned error, norm(profile(view)): where it looks, and how it sums. 0 is perfect.

    A view of "auto" is `positive` for two classes given as one column, and `top` otherwise.
    """

    view: str = "auto"
    profile: str = "equal_width"
    norm: str = "l1"
    better: str = "lower"
    sees: str = ""
    blind: str = ""


@dataclass(frozen=True)
class CellMetric(_Line):
    """Any other function of the cells of a view: `of(cells)`, over leading axes.

    `error` marks calibration errors: not negative, 0 at perfect calibration, pushed up by noise;
    their interval comes from candidate truths. The rest have replicates that centre on the value.
    A view of "ranks" is `positive` for two classes and `class` for more. `interval`, if given,
    answers with a closed form: of(cells, level) to (low, high). `target`, if given, is what `of`
    estimates where the outcomes are their rates; else `of` itself. `biased` marks what noise moves
    to one side without being an error: its interval is taken around what was seen, smoothed.
    `settle`, if given, decides on options that are left to the data: settle(cells, **options) to
    options. `cuts`, if given, says between which scores it jumps: cuts(**options) to edges that
    cells must keep apart. It lies between `least` and `most`.
    """

    of: Callable[..., Array]
    view: str = "auto"
    error: bool = False
    better: str = "lower"
    interval: Callable[..., tuple[float, float]] | None = None
    target: Callable[..., Array] | None = None
    biased: bool = False
    least: float = -math.inf
    most: float = math.inf
    settle: Callable[..., dict[str, float]] | None = None
    cuts: Callable[..., Sequence[float]] | None = None
    sees: str = ""
    blind: str = ""


@dataclass(frozen=True)
class Score(_Line):
    """The weighted mean of a value a row; `needs` names columns of `Rows` that it reads, besides
    confidence and hits. `reach`, if given, is what the interval has to contain besides what
    resampled rows say: reach(value, n, level) to (low, high)."""

    rows: Callable[..., Array]
    better: str = "lower"
    needs: tuple[str, ...] = ()
    reach: Callable[[float, float, float], tuple[float, float]] | None = None
    sees: str = ""
    blind: str = ""


@dataclass(frozen=True)
class CountMetric(_Line):
    """A function of class counts and, with `rows`, of the mean of a value a row: `of(counts)`."""

    of: Callable[..., Array]
    rows: Callable[..., Array] | None = None
    better: str = "lower"
    sees: str = ""
    blind: str = ""


@dataclass(frozen=True)
class MatrixMetric(_Line):
    """A function of whole rows of probabilities, labels and weights: `of(probs, labels, weights)`.

    `replicates(probs, labels, drawn)`, if given, answers with its bootstrap replicates.
    """

    of: Callable[..., float]
    replicates: Callable[..., Array] | None = None
    better: str = "lower"
    sees: str = ""
    blind: str = ""


@dataclass(frozen=True)
class TwoFileMetric(_Line):
    """How well a value a row tells these rows from those of a second file: `of(cells)`, where an
    outcome of 1 marks these rows. `scores` gives the value a row, between 0 and 1."""

    of: Callable[..., Array]
    scores: Callable[..., Array]
    better: str = "higher"
    interval: Callable[..., tuple[float, float]] | None = None
    sees: str = ""
    blind: str = ""


Metric: TypeAlias = BinnedError | CellMetric | Score | CountMetric | MatrixMetric | TwoFileMetric


@dataclass(frozen=True, eq=False)
class Counts:
    """Shares of the weight by class, (..., K), and the mean of a value a row, (...).

    Attributes:
        label: of the rows with this label.
        predicted: of the rows predicted as this class.
        correct: of the rows with this label that are predicted so.
        mean: of the metric's own value a row; 0 where it has none.
    """

    label: Array
    predicted: Array
    correct: Array
    mean: Array
