"""Slice search: miscalibrated slices, found in one half of the rows and confirmed in the other.

Every value of every column is a slice, and so is every pair of values of two columns. The sum of
outcome - score in a slice is compared with its distribution if every score were the probability of
its outcome, by a saddlepoint approximation (Lugannani & Rice 1980; Daniels 1987). This is accurate
in small slices of confident scores too, where a normal approximation is not.

In one half of the rows, the method of Benjamini & Hochberg chooses slices. In the other half,
Holm's method confirms them. If the scores are calibrated, the probability of reporting any slice is
therefore at most 1 - level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from calibtool.analysis.slice_error import SliceError, slice_error
from calibtool.analysis.slice_sums import Grouping, SliceSums, Sums
from calibtool.data.files.reader import RECORDS
from calibtool.data.files.source import Source
from calibtool.data.predictions import SOFT, DataInfo, Predictions
from calibtool.data.readable import Readable
from calibtool.data.rows import reduce_rows
from calibtool.data.slicing import FEW, PSEUDO, crossed, load_with, names_in, partition
from calibtool.data.unit import unit_of
from calibtool.data.validation import texts
from calibtool.errors import InputError
from calibtool.evaluation.resampling import require_level, require_seed
from calibtool.intervals.multiple import benjamini_hochberg, holm
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.resolve import one_score_view
from calibtool.parallel import Work
from calibtool.streaming.read import read
from calibtool.types import Array, Progress, Shown, silent

# Most values of a column that have a slice each; the rarer ones are joined. Two columns then have
# up to 20 x 20 pairs, and more of them would cost power in the first half.
MOST_VALUES = 20
# Seconds on a core of 2026: per row and column or pair that is searched, sorted or confirmed; per
# slice that is measured; per row and slice that is explained. Progress alone depends on them.
SEARCHING, SORTING, CONFIRMING, MEASURING, EXPLAINING = 5e-8, 1.2e-7, 2e-8, 4e-2, 1.2e-8
# Expected share of false slices among those that the first half chooses. It is no error rate of the
# result, which the second half controls: higher, more slices share Holm's correction; lower, real
# slices are lost.
CHOOSE = 0.2


@dataclass(frozen=True)
class FoundSlice:
    """A slice that was confirmed. All numbers but `rows` come from the held-out half.

    Attributes:
        by, name: the column (or two), and the value (or two).
        rows: number of rows in both halves together.
        score, outcome: mean score and mean outcome.
        low, high: interval of the gap, score - outcome.
        p_value: p-value of the hypothesis that the scores are the probabilities of the outcomes.
        adjusted: p-value after Holm's correction for all chosen slices.
        explained_by: name of a slice above this one in the list, without whose rows this slice
            shows no gap; "" if there is none.
    """

    by: str
    name: str
    rows: int
    score: float
    outcome: float
    low: float
    high: float
    p_value: float
    adjusted: float
    explained_by: str = ""

    @property
    def gap(self) -> float:
        """Mean score minus mean outcome: above 0, overconfident."""
        return self.score - self.outcome


@dataclass(frozen=True)
class SliceSearch(Shown):
    """The result of a slice search.

    Attributes:
        data: description of the predictions.
        view: view of the scores and outcomes, "top" or "positive".
        columns: columns that were searched.
        skipped: columns that were not searched, and why.
        tried: number of slices that were tested in the first half.
        small: number of slices with too few rows or clusters to be tested.
        chosen: number of slices that the first half chose.
        found: slices that the second half confirmed, the widest certain gap first.
        level: confidence level of the intervals; 1 - level is the error rate of the search.
        seed: seed of the halves.
        cluster: column of the clusters, or "".
        error: the multicalibration error over all rows and all slices that were tested.
    """

    data: DataInfo
    view: str
    columns: tuple[str, ...]
    skipped: tuple[str, ...]
    tried: int
    small: int
    chosen: int
    found: tuple[FoundSlice, ...]
    level: float
    seed: int
    cluster: str = ""
    error: SliceError | None = None


def search_slices(
    predictions: Any,
    columns: Sequence[str] | None = None,
    *,
    pairs: bool = True,
    cluster: str | None = None,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
    **keys: Any,
) -> SliceSearch:
    """Search for the slices with the worst calibration.

    Args:
        predictions: all that `ct.read` takes; `Predictions` with the columns in `extra`.
        columns: columns to search, pseudo-columns included; None for all of them.
        pairs: whether pairs of values of two columns are slices too.
        cluster: column of clusters. Rows with equal values are correlated and stay in one half; by
            default the predictions of a row of the file, where it has several.
        level: 1 - level is the largest probability of reporting any false slice.
        seed: seed of the halves.
        progress: called with the name of the step and the share of it that is done.
        keys: which column has which role, as for `ct.load`.

    Raises:
        InputError: there are no labels, or no column can be searched.
        UsageError: `level` or `seed` is out of range.
    """
    require_level(level)
    require_seed(seed)
    data = read(predictions, **keys)
    unit = unit_of(data)
    cluster = cluster or (unit.column if unit else None)
    rows, names = _load(data, columns, cluster)
    parts, skipped = _parts(rows, names, explicit=columns is not None)
    if not parts:
        why = f" ({'; '.join(skipped)})" if skipped else ""
        raise InputError(f"{rows.source}: there is no column to search{why}")
    view, about, count = one_score_view("auto", rows), DataInfo.of(rows), rows.rows
    reduced = reduce_rows(rows, lean=True)
    values = *reduced.view(view), reduced.weights, rows.extra[cluster] if cluster else None
    del rows, reduced  # millions of rows: the memory is needed
    sums = Sums.of(*values)
    first = _first_half(sums, count, seed)
    candidates = list(_candidates(parts, pairs=pairs))
    # how many slices are held against the other half shows when the first half was searched
    known = {
        "searching": SEARCHING * count * len(candidates),
        "sorting": SORTING * count * (1 + len(candidates)),
    }
    unknown = dict.fromkeys(("confirming", "measuring", "explaining"), math.nan)
    work = Work(progress or silent, known | unknown)
    work.next("searching")
    tried, p, small = _tested(candidates, sums, first, work)
    adjusted = benjamini_hochberg(p) if p else []
    chosen = [pair for pair, q in zip(tried, adjusted, strict=True) if q <= CHOOSE]
    work.know("confirming", CONFIRMING * count * len({id(part) for part, _ in chosen}))
    work.next("sorting")
    error = slice_error(sums, tried, work)
    held_out = sums.take(~first)
    del sums
    confirmed = _confirmed(chosen, held_out, ~first, level, work)
    work.next("explaining")
    return SliceSearch(
        about,
        view,
        tuple(part.by for part in parts),
        tuple(skipped),
        len(tried),
        small,
        len(chosen),
        tuple(_explained(confirmed, held_out, level, work)),
        level,
        seed,
        cluster or "",
        error,
    )


def _tested(
    candidates: Sequence[Grouping], sums: Sums, first: Array, progress: Progress
) -> tuple[list[tuple[Grouping, int]], list[float], int]:
    """Test the slices in the first half, the rows of the mask `first`.

    Returns the slices with enough rows and clusters in both halves, their p-values, and the number
    of the other slices.
    """
    tried: list[tuple[Grouping, int]] = []
    p_values: list[float] = []
    small = 0
    searched, held_out = sums.take(first), sums.take(~first)
    for done, grouping in enumerate(candidates, start=1):
        half, other = grouping.take(first), grouping.take(~first)
        total = grouping.count()
        able = np.minimum(half.count(), other.count()) >= FEW // 2
        able &= total >= FEW
        able &= searched.enough(half) & held_out.enough(other)
        small += int(np.count_nonzero((total > 0) & ~able))
        at = np.flatnonzero(able)
        tried += [(grouping, int(k)) for k in at]
        p_values += searched.p_values(half)[at].tolist()
        progress("searching", done / len(candidates))
    return tried, p_values, small


# ------------------------------------------------------------------ the columns


def _load(
    predictions: Readable, columns: Sequence[str] | None, cluster: str | None
) -> tuple[Predictions, list[str]]:
    """Return all rows in memory, and the names of the columns to search."""
    every = _columns(predictions)
    names = list(columns or [*every, *(name for name in PSEUDO if name not in every)])
    rows = load_with(predictions, [*names, *([cluster] if cluster else [])])
    if rows.kind != "confidence" and rows.labels is None:
        raise InputError(f"{rows.source}: there are no labels to measure against")
    if cluster and cluster not in rows.extra:
        raise InputError(f"{rows.source}: there is no column {cluster!r} of clusters")
    if columns is None and rows.kind == "confidence":
        names = [name for name in names if name != "predicted"]
    return rows, [name for name in names if name != cluster]


def _columns(predictions: Readable) -> list[str]:
    """Return the columns beside the scores and labels; of a file, those with one value per row."""
    if isinstance(predictions, Source):
        roles = set(predictions.roles.columns())
        return [
            name
            for name, column in predictions.table.columns.items()
            if name not in roles
            and name not in SOFT  # what a soft label is says nothing of a model
            and column.rows == predictions.rows_at_most
            and not column.nested
            and column.family != RECORDS
        ]
    return list(predictions.extra) if isinstance(predictions, Predictions) else []


def _parts(
    rows: Predictions, names: Sequence[str], *, explicit: bool
) -> tuple[list[Grouping], list[str]]:
    """Return the slices by each column, and the columns that are skipped with the reason.

    With `explicit`, the columns were named by the user: one that cannot be searched is an error.
    """
    parts, skipped = [], []
    for name in names:
        for column in names_in(name):
            why = "" if explicit else _unfit(rows, column)
            if why:
                skipped.append(f"{column}: {why}")
                continue
            parted = partition(rows, column, most=MOST_VALUES)
            if len(parted.names) > 1:
                parts.append(Grouping.of(column, parted.names, parted.codes))
            else:
                skipped.append(f"{column}: holds one value")
    return parts, skipped


def _unfit(rows: Predictions, name: str) -> str:
    """Return why a column is not searched unless the user names it; "" if it is searched."""
    column = rows.extra.get(name)
    if column is None:
        return ""
    if column.ndim != 1 or column.dtype.kind == "V":
        return "holds several values per row"
    if column.dtype.kind in "SO":
        try:
            column = texts(column, name)
        except InputError:
            return "holds bytes that are not text"
    # more than one value per two rows of the file: identifiers or free text
    of_file = len(column) / (rows.unit.per if rows.unit else 1)
    if column.dtype.kind != "f" and 2 * len(np.unique(column.astype(str))) > of_file:
        return "almost every row has its own value"
    return "" if column.dtype.kind != "f" or np.isfinite(column).any() else "holds no number"


def _candidates(parts: Sequence[Grouping], *, pairs: bool) -> Iterator[Grouping]:
    """Yield the slices by each column and, with `pairs`, by each two columns."""
    yield from parts
    for a, b in combinations(parts, 2) if pairs else ():
        codes, names = crossed(a.codes, a.names, b.codes, b.names)
        yield Grouping.of(f"{a.by},{b.by}", names, codes)


def _first_half(sums: Sums, rows: int, seed: int) -> Array:
    """Return the (N,) mask of the rows that are searched; the others confirm.

    Rows of a cluster stay together.
    """
    rng = generator(Stream.HALVES, seed)
    if sums.cluster is None:
        half = np.zeros(rows, bool)
        half[rng.permutation(rows)[: rows // 2]] = True
        return half
    clusters = int(sums.cluster.max()) + 1
    drawn = np.zeros(clusters, bool)
    drawn[rng.permutation(clusters)[: clusters // 2]] = True
    return drawn[sums.cluster]


# ------------------------------------------------------------------ the other half


def _confirmed(
    chosen: Sequence[tuple[Grouping, int]],
    held_out: Sums,
    mask: Array,
    level: float,
    work: Work,
) -> list[tuple[FoundSlice, Grouping, int]]:
    """Return the slices that the held-out half confirms, with their grouping and number in it.

    They are sorted by the end of the interval that is nearer to 0, the widest first. The grouping
    is that of the held-out half, the rows of the mask.
    """
    work.next("confirming")
    halves: dict[int, tuple[Grouping, SliceSums, Array]] = {}  # of a grouping, by its id
    p_values = []
    for part, k in chosen:
        if id(part) not in halves:
            half = part.take(mask)
            sums = held_out.over(half)
            halves[id(part)] = half, sums, held_out.p_values_of(sums)
        p_values.append(float(halves[id(part)][2][k]))
        work("confirming", len(p_values) / len(chosen))
    every = list(zip(chosen, p_values, holm(p_values), strict=True))
    found = [one for one in every if one[-1] < 1 - level]
    work.know("measuring", MEASURING * len(found))
    work.know("explaining", EXPLAINING * len(mask) * len(found))
    work.next("measuring")
    confirmed = []
    for (part, k), p_value, adjusted in found:
        half, sums, _ = halves[id(part)]
        count = int(np.count_nonzero(part.codes == k))
        means = held_out.means(half, k, sums, level)
        record = FoundSlice(part.by, part.names[k], count, *means, p_value, adjusted)
        confirmed.append((record, half, k))
        work("measuring slices", len(confirmed) / len(found))
    return sorted(confirmed, key=lambda entry: -max(entry[0].low, -entry[0].high))


def _explained(
    confirmed: Sequence[tuple[FoundSlice, Grouping, int]],
    held_out: Sums,
    level: float,
    progress: Progress,
) -> Iterable[FoundSlice]:
    """Yield the slices, each with the slice above it that explains it, if there is one.

    A slice is explained by another if its rows outside the other are too few to be tested or show
    no miscalibration. Explained slices explain no others.
    """
    above: list[tuple[FoundSlice, Grouping, int]] = []
    for done, (record, part, k) in enumerate(confirmed):
        progress("explaining", done / len(confirmed))
        inside = np.flatnonzero(part.codes == k)
        why = ""
        for other, by, j in above:
            left = inside[by.codes[inside] != j]
            alone = Grouping("", ("slice",), np.zeros(len(left), np.uint8))
            if len(left) < FEW // 2 or held_out.take(left).p_values(alone)[0] >= 1 - level:
                why = other.name
                break
        if not why:
            above.append((record, part, k))
        yield replace(record, explained_by=why)
