"""What a test of perfect calibration is, what it is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from calibtool.data.predictions import DataInfo
from calibtool.metrics.cells import Cells
from calibtool.types import Array, Progress, Shown

LEVEL = 0.05  # of the reading, over all tests (Holm 1979)

OfCells: TypeAlias = Callable[[Cells], Array]
Observed: TypeAlias = tuple[float, Array]  # a statistic, and its values for redrawn outcomes


@dataclass(frozen=True)
class Test:
    """A test of perfect calibration.

    Attributes:
        name: what it is called on the command line.
        title: in words.
        source: author, year.
        sensitive: what it is good at seeing.
        statistic: cells to a value a replicate, large where calibration is bad; None for a test
            that looks at whole rows.
        shown: what is printed as its value, if it is something else.
        rows: whole rows and `How` to what is observed.
        weighted: whether it can take weights.
    """

    __test__: ClassVar[bool] = False  # of calibration, not one that pytest should collect

    name: str
    title: str
    source: str
    sensitive: str
    statistic: OfCells | None = None
    shown: OfCells | None = None
    rows: Callable[[Whole, How], Observed] | None = None
    weighted: bool = True


@dataclass(frozen=True)
class How:
    """Settings that the tests share, and whom to tell how far they are."""

    resamples: int
    seed: int
    progress: Progress


@dataclass(frozen=True, eq=False)
class Whole:
    """Whole rows: (N, K) probabilities, labels, and weights or None; of confidences alone, (N, 2)
    that the predicted class is wrong and right, and whether it is."""

    probs: Array
    labels: Array
    weights: Array | None = None
    view: str = "class"


@dataclass(frozen=True)
class Result:
    """What a test found.

    Attributes:
        name, title: of the test.
        view: which scores it looks at: top, positive, or class for whole rows.
        statistic: its value, or None where `missing` says why there is none.
        p_value: the probability, were the scores perfect, of a value as large or larger.
        adjusted: the p-value after Holm's correction for the number of tests.
        draws: how many redrawn outcomes are behind the p-value: the smallest is 1 / (draws + 1).
    """

    name: str
    title: str
    view: str
    statistic: float | None = None
    p_value: float | None = None
    adjusted: float | None = None
    draws: int = 0
    missing: str = ""


@dataclass(frozen=True)
class TestResults(Shown):
    """What the tests found on one set of predictions.

    Attributes:
        data: what was read.
        view: which scores the tests look at.
        results: in the order of the table.
        detectable: the ECE with 15 bins that the consistency test would have found at this n
            with 80 % power, or None where no temperature takes these scores so far.
        resamples, seed: of the redrawn outcomes.
        reading: what it comes to, in words.
    """

    __test__: ClassVar[bool] = False  # of calibration, not one that pytest should collect

    data: DataInfo
    view: str
    results: tuple[Result, ...]
    detectable: float | None
    resamples: int
    seed: int
    reading: str = ""

    @property
    def rejecting(self) -> tuple[str, ...]:
        """The tests that reject at 5 % after Holm's correction for their number."""
        run = [r for r in self.results if r.adjusted is not None and r.adjusted <= LEVEL]
        return tuple(result.name for result in run)

    def __getitem__(self, name: str) -> Result:
        return next(result for result in self.results if result.name == name)
