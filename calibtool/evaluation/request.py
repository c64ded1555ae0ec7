"""Request: predictions, metrics and options of an evaluation, resolved before any row is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from calibtool.data.clusters import FEWEST, clusters
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Apply, Readable, Variant
from calibtool.data.unit import Unit, unit_of
from calibtool.errors import InputError
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.measurement import Settings
from calibtool.evaluation.resampling import Resampling, require_memory
from calibtool.intervals.draws import EXACT_ROWS
from calibtool.metrics.kinds import TwoFileMetric
from calibtool.metrics.resolve import main_view, resolve
from calibtool.metrics.spec import Spec, parse_list
from calibtool.streaming.layout import streams
from calibtool.streaming.streamed import STREAMED_ROWS, has_engine, is_streamed, require_streamed
from calibtool.streaming.summary import Summary
from calibtool.types import Array

# Predictions up to which the rows of a file that hold several are resampled without being asked:
# measured, a prediction takes about 250 bytes, so that these take 1 GB.
UNIT_ROWS = 1 << 22
# Metrics of a second file (`ood`), added when one is given and no metric asks for it.
SECOND_FILE = "ood-auroc,ood-auroc(by=entropy),ood-fpr95"


def too_few_units(unit: Unit, count: int) -> str:
    """Return why so few rows of several predictions each cannot be resampled."""
    return (
        f"no intervals: {unit.text}, and {count:,} {unit.column}s are too few to be resampled; at "
        f"least {FEWEST} are needed"
    )


@dataclass(frozen=True, eq=False)
class Request:
    """The predictions to be measured, the metrics, and how to measure them.

    Made by `Request.of`, so that metrics are parsed, views resolved and options checked in one
    place.

    Attributes:
        predictions: what is read.
        specs: the metrics, with their views resolved by the shape of the predictions.
        view: the view of the bias, the means and the kept bins: see `main_view`.
        variants: what is done to the rows before they are measured; all share the same draws.
        ood: predictions of out-of-distribution rows, or None.
        cluster: column of rows that are resampled together, or None.
        columns: columns of `Rows` to collect besides those that the metrics need.
        bias: whether mean score minus mean outcome is measured, with its interval.
        resampling: how intervals are made.
        execution: threads and progress.
    """

    predictions: Readable
    specs: tuple[Spec, ...]
    view: str
    variants: tuple[Variant, ...] = (Variant(),)
    ood: Readable | None = None
    cluster: str | None = None
    columns: frozenset[str] = frozenset()
    bias: bool = True
    resampling: Resampling = field(default_factory=Resampling)
    execution: Execution = field(default_factory=Execution)

    @staticmethod
    def of(
        predictions: Readable,
        metrics: str | Iterable[str | Spec],
        variants: Sequence[Variant] = (Variant(),),
        *,
        ood: Readable | None = None,
        cluster: str | None = None,
        columns: Collection[str] = (),
        bias: bool = True,
        resampling: Resampling | None = None,
        execution: Execution | None = None,
    ) -> Request:
        """Resolve a request. The arguments are the attributes; `metrics` are spec strings or specs
        whose views may still be automatic.

        Raises UsageError for a metric that is not known or has no such view here.
        """
        specs = parse_list(metrics)
        if ood is not None and not any(isinstance(spec.metric, TwoFileMetric) for spec in specs):
            specs += parse_list(SECOND_FILE)
        resolved = tuple(resolve(specs, predictions))
        return Request(
            predictions,
            resolved,
            main_view(resolved, predictions),
            tuple(variants),
            ood,
            cluster,
            frozenset(columns),
            bias,
            resampling or Resampling(),
            execution or Execution(),
        )

    @property
    def unit(self) -> Unit | None:
        """What is resampled whole since no cluster is named: the rows of a file that hold several
        predictions each."""
        return unit_of(self.predictions) if self.cluster is None else None

    @property
    def clusters(self) -> tuple[Array | None, str]:
        """The number of the cluster of each row, (rows,), or None, and why there is none although
        the predictions of a row of the file are correlated, or "".

        Raises InputError for a cluster that cannot be resampled.
        """
        if self.resampling.ci == "none":
            return None, ""
        if self.cluster is not None:
            return clusters(self.predictions, self.cluster), ""
        if self.unit is None:
            return None, ""
        numbers = clusters(self.predictions, self.unit.column, fewest=1)
        count = int(numbers.max(initial=-1)) + 1
        if count == len(numbers):  # slices by label hold one prediction of each row
            return None, ""
        if count >= FEWEST:
            return numbers, ""
        return None, too_few_units(self.unit, count)

    @property
    def without_intervals(self) -> Request:
        """The same request without intervals."""
        return replace(self, resampling=replace(self.resampling, ci="none"))

    @property
    def applied(self) -> list[Apply]:
        """The functions that are applied to every block, one per variant."""
        return [variant.apply for variant in self.variants]

    @property
    def paired(self) -> bool:
        """Whether variants are compared, so that their replicates must be paired."""
        return len(self.variants) > 1

    @cached_property
    def from_cells(self) -> bool:
        """Whether cells stand for the rows: there are no rows any more, an engine reads them, or
        there are more than STREAMED_ROWS (more than EXACT_ROWS in a file, of two variants).

        Decided at first use, since the rows that a filter keeps can only be counted by reading.
        Raises InputError where cells have no answer, UsageError where the engine has none.
        """
        if has_engine(self.predictions):
            specs = list(self.specs)
            if self.ood is not None:  # the message names --ood, not the metrics added for it
                specs = [spec for spec in specs if not isinstance(spec.metric, TwoFileMetric)]
            require_streamed(self.predictions, specs, cluster=self.cluster, ood=self.ood)
        if isinstance(self.predictions, Summary):
            if self._needs_rows:
                option = "--cluster" if self.cluster is not None else "--ood"
                raise InputError(
                    f"{self.predictions.source}: holds cells, no rows; {option} needs rows"
                )
            return True
        return streams(self.specs) and not self._needs_rows and self._many_rows

    @cached_property
    def is_split(self) -> bool:
        """Whether some metrics need whole rows although cells stand for the rows of the others:
        they are measured on a sample."""
        if isinstance(self.predictions, Summary) or streams(self.specs):
            return False
        return not self._needs_rows and self._many_rows

    @property
    def _needs_rows(self) -> bool:
        """Whether rows have to be kept whatever the metrics."""
        together = self.unit is not None and not is_streamed(self.predictions, UNIT_ROWS)
        return self.cluster is not None or self.ood is not None or together

    @property
    def _many_rows(self) -> bool:
        """Whether there are more rows than are measured one by one. Cells cannot pair an error
        before and after a calibrator, so rows that are in memory, or fit there, are kept when
        variants are compared."""
        if self.paired and isinstance(self.predictions, Predictions):
            return False
        return is_streamed(self.predictions, EXACT_ROWS if self.paired else STREAMED_ROWS)

    def settings(
        self, rows: int, cluster: Array | None = None, *, of_cells: bool = False
    ) -> Settings:
        """Return the settings for measuring `rows` rows.

        Args:
            rows: how many rows are resampled.
            cluster: (rows,) numbers of the clusters that are resampled together, or None.
            of_cells: whether counts of cells are redrawn instead of rows.

        Raises UsageError where the replicates of a metric do not fit in memory.
        """
        draws = self.resampling.draws(rows, cluster)
        if draws is not None:
            require_memory(self.specs, self.predictions, draws.replicates, of_cells=of_cells)
        return Settings(self.resampling, draws, self.execution, self.paired, of_cells)
