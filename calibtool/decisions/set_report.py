"""Prediction sets measured on labelled rows: coverage, size, and where the coverage falls short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.calibrators.confidences import fingerprint_of
from calibtool.data.files.source import Source
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.slicing import FEW, Partition, carrying, partition, set_apart
from calibtool.decisions.prediction_sets import PredictionSets, require_labelled
from calibtool.errors import UsageError
from calibtool.evaluation.resampling import FEW_ROWS, Resampling
from calibtool.intervals import bootstrap
from calibtool.intervals.beta_binomial import at_most
from calibtool.intervals.drawn_sums import drawn_sums
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.shares import clopper_pearson
from calibtool.parallel import cores
from calibtool.streaming.read import read as read_data
from calibtool.types import Array, Shown
from calibtool.version import __version__

COVERAGE, SIZE = "set-coverage", "set-size"
MOST_SIZES = 6  # sizes that have a slice each; the larger ones are joined, in ranges that double


@dataclass(frozen=True)
class SetSlice:
    """The sets of some of the rows.

    Attributes:
        by: "" for all rows, "class" for those of a label, "size" for those whose sets have a size,
            or the columns that they are grouped by.
        name: the class, the size, or the value of the columns.
        rows: their number.
        coverage: the share of them whose set holds the label, with its Clopper-Pearson interval.
        size: the mean size of their sets.
        empty, single: the share of empty sets, and of those with one class.
    """

    by: str
    name: str
    rows: int
    coverage: Estimate
    size: float
    empty: float
    single: float


@dataclass(frozen=True)
class SetReport(Shown):
    """What prediction sets do on some rows.

    Attributes:
        data: what was read.
        sets: the rule, in a line.
        promised: the coverage that it promises, of all rows or of each class.
        per_class: whether it promises it of each class.
        level: of the intervals.
        whole: all rows.
        size: the mean size, with its interval.
        single_right: the share of the sets with one class that hold the label; None without any.
        expected: between which shares the coverage of this many rows lies with probability `level`
            if the promise holds, over the rows that set the threshold and these (beta-binomial);
            None where each class has its own threshold.
        p_value: the probability that so few rows, or fewer, are covered if the promise holds; None
            likewise.
        classes: one slice per class with rows.
        sizes: one slice per size of a set, or range of sizes.
        groups: one slice per value of the columns of `by`, if it has enough rows.
        apart: which groups are too small or joined, in words.
    """

    data: DataInfo
    sets: str
    promised: float
    per_class: bool
    level: float
    whole: SetSlice
    size: Estimate
    single_right: float | None
    expected: tuple[float, float] | None
    p_value: float | None
    classes: tuple[SetSlice, ...]
    sizes: tuple[SetSlice, ...]
    groups: tuple[SetSlice, ...] = ()
    apart: tuple[str, ...] = ()

    @property
    def worst_class(self) -> SetSlice | None:
        """The class with the lowest coverage among those with enough rows; None without any."""
        large = [part for part in self.classes if part.rows >= FEW]
        return min(large, key=lambda part: float(part.coverage.value or 0)) if large else None


@dataclass(frozen=True, eq=False)
class SetRows:
    """The sets of labelled rows, as one number per row.

    Attributes:
        rows: the predictions.
        size: (N,) the number of classes in each set.
        covered: (N,) bool, whether the set holds the label.
    """

    rows: Predictions
    size: Array
    covered: Array

    @classmethod
    def of(cls, sets: PredictionSets, rows: Predictions) -> SetRows:
        """Make the sets of rows. Raises what `require_labelled` and `PredictionSets` raise."""
        inside = sets.inside(require_labelled(rows))
        return cls(rows, inside.sum(axis=1), inside[np.arange(rows.rows), rows.labels])

    def take(self, index: Array) -> SetRows:
        """Return the rows at an index array."""
        return SetRows(self.rows.take(index), self.size[index], self.covered[index])

    def coverage(self, level: float | None) -> Estimate:
        """Return the share of rows whose set holds the label.

        The interval is that of the coverage of these very sets on rows like these: the rows that
        set the threshold are taken as given (Clopper & Pearson 1934). None without `level`, or with
        fewer than FEW_ROWS rows.
        """
        n, value = len(self.covered), float(self.covered.mean())
        if level is None or n < FEW_ROWS:
            return _estimate(COVERAGE, value, None, n)
        low, high = clopper_pearson(np.array([value]), np.array([float(n)]), level)
        error = float(np.sqrt(value * (1 - value) / n))
        return _estimate(COVERAGE, value, (float(low[0]), float(high[0]), error), n)

    def mean_size(self, resampling: Resampling, cluster: Array | None = None) -> Estimate:
        """Return the mean size of the sets, with its bootstrap interval."""
        n, value, most = len(self.size), float(self.size.mean()), float(self.rows.classes or 0)
        draws = resampling.draws(n, cluster)
        if draws is None:
            return _estimate(SIZE, value, None, n, most)
        centred = self.size - value
        (total, weight) = drawn_sums(
            np.arange(n), np.zeros(n, np.int64), 1, [centred, np.ones(n)], draws, cores()
        )
        drawn = total[:, 0] / weight[:, 0]
        method = resampling.method(is_error=False)
        low, high = bootstrap.plain(
            method, value, value + drawn, resampling.level, bootstrap.skewness(centred)
        )
        return _estimate(SIZE, value, (low, high, float(drawn.std())), n, most)

    def slice(self, by: str, name: str, index: Array, level: float | None) -> SetSlice:
        """Return the slice of the rows at an index array."""
        part = self.take(index)
        return SetSlice(
            by,
            name,
            len(index),
            part.coverage(level),
            float(part.size.mean()),
            float((part.size == 0).mean()),
            float((part.size == 1).mean()),
        )


def evaluate_sets(
    predictions: Any,
    sets: PredictionSets,
    by: str | Sequence[str] = (),
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    **keys: Any,
) -> SetReport:
    """Measure prediction sets on rows that neither the model nor the sets have seen.

    Args:
        predictions: all that `ct.read` takes: whole rows with labels.
        sets: what `fit_sets` or `load_sets` returned.
        by: columns whose values are measured apart: "country", or several, such as
            ["country", "country,age"].
        resamples, seed: of the interval of the mean size; with resamples=0 there is none.
        level: of all intervals.
        keys: which column has which role, as for `ct.load`.

    Raises UsageError for other classes, weighted rows or the rows that set the threshold;
    NotAvailableError for confidences alone or missing labels; InputError for a column that is not
    there.

    >>> from calibtool.decisions.prediction_sets import fit_sets
    >>> p = Predictions.from_probs([[0.8, 0.2], [0.3, 0.7]] * 10, [0, 1] * 10)
    >>> q = Predictions.from_probs([[0.9, 0.1], [0.4, 0.6]] * 20, [0, 1] * 20)
    >>> evaluate_sets(q, fit_sets(p, 0.9, "lac")).whole.coverage.value
    0.5
    """
    resampling = Resampling("inverted", resamples, level, seed)
    columns = [by] if isinstance(by, str) else list(by)
    rows = loaded(read_data(predictions, **keys), sets, columns)
    require_other_rows(sets, rows)
    made = SetRows.of(sets, rows)
    whole = made.slice("", "", np.arange(rows.rows), level)
    expected = p_value = None
    if not sets.per_class:
        (promise,) = sets.promises
        expected = promise.observed(rows.rows, level)
        p_value = at_most(int(made.covered.sum()), rows.rows, *promise.shape)
    single = made.size == 1
    groups, apart = _groups(made, columns, level)
    return SetReport(
        DataInfo.of(rows),
        sets.describe(),
        sets.coverage,
        sets.per_class,
        level,
        whole,
        made.mean_size(resampling),
        float(made.covered[single].mean()) if single.any() else None,
        expected,
        p_value,
        _classes(made, sets, level),
        _sizes(made, level),
        groups,
        apart,
    )


def loaded(data: Any, sets: PredictionSets, by: Sequence[str] = ()) -> Predictions:
    """Return the rows in memory, with the columns of `by` and those that the sets need."""
    if isinstance(data, Source):
        data = carrying(data, by).also(sets.columns)
    rows: Predictions = data.load()
    return rows


def require_other_rows(sets: PredictionSets, rows: Predictions) -> None:
    """Raise UsageError for the rows that set the threshold, on which any sets look right."""
    require_labelled(rows)
    if sets.fingerprint and sets.fingerprint == fingerprint_of(rows):
        raise UsageError(
            f"{rows.source}: the sets were set by these very rows, which cannot tell what they do "
            "on others; measure them on other rows"
        )


def _classes(made: SetRows, sets: PredictionSets, level: float) -> tuple[SetSlice, ...]:
    labels = made.rows.labels
    assert labels is not None
    names = made.rows.class_names or [sets.name_of(k) for k in range(sets.classes)]
    return tuple(
        made.slice("class", names[k], np.flatnonzero(labels == k), level)
        for k in np.unique(labels).tolist()
    )


def _sizes(made: SetRows, level: float) -> tuple[SetSlice, ...]:
    """Return a slice per size from 0 to MOST_SIZES - 1, and per range of larger sizes: 6 to 11,
    12 to 23, and so on."""
    largest = int(made.size.max(initial=0))
    starts = list(range(MOST_SIZES))
    while starts[-1] < largest:
        starts.append(MOST_SIZES if starts[-1] < MOST_SIZES else 2 * starts[-1])
    code = np.searchsorted(starts, made.size, side="right") - 1
    parts = []
    for k in np.unique(code).tolist():
        last = starts[k + 1] - 1 if k + 1 < len(starts) else largest
        last = min(last, largest)
        name = str(starts[k]) if last == starts[k] else f"{starts[k]} to {last}"
        parts.append(made.slice("size", name, np.flatnonzero(code == k), level))
    return tuple(parts)


def _groups(
    made: SetRows, by: Sequence[str], level: float
) -> tuple[tuple[SetSlice, ...], tuple[str, ...]]:
    slices, apart = [], []
    for columns in by:
        parts: Partition = partition(made.rows, columns)
        slices += [made.slice(columns, parts.names[k], parts.index(k), level) for k in parts.large]
        apart += [text for text in (parts.note, set_apart(parts.small, parts.few)) if text]
    return tuple(slices), tuple(apart)


def _estimate(
    name: str,
    value: float,
    interval: tuple[float, float, float] | None,
    rows: int,
    most: float = 1.0,
) -> Estimate:
    """Return the estimate; `interval` is low, high and the standard error, `most` the end of the
    range."""
    low, high, error = interval or (None, None, None)
    return Estimate(
        name,
        value,
        corrected=None if interval is None else value,
        low=low,
        high=high,
        better="higher" if name == COVERAGE else "lower",
        signature=f"{name}|rows:{rows}|calibtool:{__version__}",
        error=error,
        least=0.0,
        most=most,
    )
