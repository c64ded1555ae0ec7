"""Records of significance tests: a test, its inputs and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from calibtool.data.predictions import DataInfo
from calibtool.metrics.cells import Cells
from calibtool.types import Array, Progress, Shown

# Family-wise error rate at which `reading` says "miscalibrated", over all tests (Holm 1979).
LEVEL = 0.05

# cells with leading axes of replicates -> one value per replicate, large where calibration is bad
CellStatistic: TypeAlias = Callable[[Cells], Array]
# a statistic, and its values for redrawn outcomes
Observed: TypeAlias = tuple[float, Array]


@dataclass(frozen=True)
class Test:
    """A test of perfect calibration.

    Attributes:
        name: name on the command line.
        title: name in tables.
        source: author, year.
        sensitive: the kind of miscalibration that the test detects best.
        statistic: statistic of one score per row; None for a test of whole rows.
        shown: statistic that is printed, where it is not the one that is compared.
        rows: function of `WholeRows` and `RedrawOptions`, for a test of whole rows.
        weighted: whether the test accepts weights.
    """

    __test__: ClassVar[bool] = False  # pytest must not collect this class

    name: str
    title: str
    source: str
    sensitive: str
    statistic: CellStatistic | None = None
    shown: CellStatistic | None = None
    rows: Callable[[WholeRows, RedrawOptions], Observed] | None = None
    weighted: bool = True


@dataclass(frozen=True)
class RedrawOptions:
    """How outcomes are redrawn: settings that all tests share, and a progress callback."""

    resamples: int
    seed: int
    progress: Progress


@dataclass(frozen=True, eq=False)
class WholeRows:
    """Probabilities and labels of whole rows.

    Attributes:
        probs: (N, K) probabilities. Confidences alone are two columns: the probability that the
            predicted class is wrong, and that it is right.
        labels: (N,) class numbers. Of confidences alone: 1 where the predicted class is right.
        weights: (N,), or None.
        view: "class", or "top" for confidences alone.
    """

    probs: Array
    labels: Array
    weights: Array | None = None
    view: str = "class"


@dataclass(frozen=True)
class Result:
    """The result of one test.

    Attributes:
        name, title: those of the test.
        view: scores that were tested: top, positive, or class for whole rows.
        statistic: its value; None where the test could not be run.
        p_value: probability of a value as large or larger if the scores were perfectly calibrated.
        adjusted: p-value after Holm's correction for the number of tests.
        draws: number of redrawn outcomes; the smallest possible p-value is 1 / (draws + 1).
        missing: why the test could not be run, or "".
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
    """The results of all tests on one set of predictions.

    Attributes:
        data: description of the predictions.
        view: scores that the tests of one score per row look at.
        results: one per test, in the order of the registry.
        detectable: the 15-bin ECE that the consistency test detects with 80 % power at this number
            of rows; None where no temperature distorts these scores that far.
        resamples, seed: options of the redrawn outcomes.
        reading: summary in words.
        warnings: what the reader should know about the data.
    """

    __test__: ClassVar[bool] = False  # pytest must not collect this class

    data: DataInfo
    view: str
    results: tuple[Result, ...]
    detectable: float | None
    resamples: int
    seed: int
    reading: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def rejecting(self) -> tuple[str, ...]:
        """Names of the tests that reject at 5 % after Holm's correction for their number."""
        rejected = [r for r in self.results if r.adjusted is not None and r.adjusted <= LEVEL]
        return tuple(result.name for result in rejected)

    def __getitem__(self, name: str) -> Result:
        for result in self.results:
            if result.name == name:
                return result
        names = ", ".join(result.name for result in self.results)
        raise KeyError(f"no {name!r} in these results; they have {names}")
