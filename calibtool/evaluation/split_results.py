"""Results in two parts: what cells of all rows give, and what needs whole rows, of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.results import Results
from calibtool.intervals.draws import Draws
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.cells import Cells
from calibtool.types import Array

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class SplitResults(Results):
    """Variants some of whose metrics were measured on a random sample of the rows.

    Everything but the metrics of the sample is that of all rows.

    Attributes:
        whole: the results of all rows.
        sample: the results of the sample.
        sampled: for each metric, whether it is one of the sample.
    """

    whole: Results
    sample: Results
    sampled: tuple[bool, ...]

    @staticmethod
    def of(whole: Results, sample: Results, sampled: Sequence[bool]) -> SplitResults:
        """Join results whose metrics take turns as `sampled` says."""
        return SplitResults(
            _in_order(whole.specs, sample.specs, sampled),
            whole.variants,
            tuple(
                _in_order(a, b, sampled)
                for a, b in zip(whole.measured, sample.measured, strict=True)
            ),
            whole.settings,
            whole.data,
            whole.view,
            whole.bias,
            whole,
            sample,
            tuple(sampled),
        )

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        return self.whole.skipped

    @property
    def notes(self) -> tuple[str, ...]:
        pairs = zip(self.sample.specs, self.sample.measured[0], strict=True)
        names = ", ".join(spec.name for spec, one in pairs if one.value is not None)
        if not names:
            return self.whole.notes
        some, every = self.sample.data.rows, self.whole.data.rows
        drawn = f"{names}: measured on {some:,} rows drawn at random from the {every:,}"
        return (*self.whole.notes, drawn)

    @property
    def band_draws(self) -> Draws | None:
        return self.whole.band_draws

    def estimates(self, variant: int = 0) -> tuple[Estimate, ...]:
        return _in_order(
            self.whole.estimates(variant), self.sample.estimates(variant), self.sampled
        )

    def change(self, variant: int = 1, since: int = 0) -> tuple[Estimate, ...]:
        changes = self.whole.change(variant, since), self.sample.change(variant, since)
        return _in_order(*changes, self.sampled)

    def problems(self, variant: int = 0, view: str = "") -> RowProblems:
        return self.whole.problems(variant, view)

    def binned(self, variant: int, edges: Array) -> tuple[Cells, Array]:
        return self.whole.binned(variant, edges)

    def means(self, variant: int = 0) -> tuple[float, float]:
        return self.whole.means(variant)

    def digest(self, variant: int) -> str:
        return self.whole.digest(variant)

    def warnings(self) -> Iterator[str]:
        yield from self.whole.warnings()
        yield from self.sample.warnings()

    def only(self, variants: slice) -> Self:
        of_parts = self.whole.only(variants), self.sample.only(variants)
        return replace(super().only(variants), whole=of_parts[0], sample=of_parts[1])


def _in_order(whole: Sequence[T], sample: Sequence[T], sampled: Sequence[bool]) -> tuple[T, ...]:
    """Return the items of both in the order of the metrics.

    >>> _in_order("ac", "b", [False, True, False])
    ('a', 'b', 'c')
    """
    parts = iter(whole), iter(sample)
    return tuple(next(parts[at]) for at in sampled)
