"""Search: slices whose scores are not their outcomes' probabilities, found in one half of the rows
and confirmed in the other.

Every value of every column is a slice, and every pair of values of two columns. In a slice, the sum
of outcome - score is held against what it would be if every score were its row's probability, by a
saddlepoint approximation (Lugannani & Rice 1980; Daniels 1987), which is right in small slices of
confident scores too, where a normal approximation is not. In one half, Benjamini and Hochberg's
method chooses; in the other, Holm's method confirms, so that any false slice at all is reported in
at most 1 - level of all data sets whose scores are calibrated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from calibtool.data.files.source import Source
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.data.readable import Readable
from calibtool.data.rows import Rows, reduce_rows
from calibtool.data.slicing import FEW, PSEUDO, carrying, names_in, partition
from calibtool.errors import InputError, UsageError
from calibtool.intervals.multiple import benjamini_hochberg, holm
from calibtool.intervals.saddlepoint import excess, two_sided
from calibtool.metrics.cells import Cells, locate
from calibtool.metrics.profiles import equal_mass
from calibtool.types import Array, Progress, Shown

MOST_VALUES = 20  # of a column; the rarer ones are joined
BINS = 64  # of the scores, whose means stand for the scores
CHOOSE = 0.2  # expected share of false slices among those that the first half chooses
FEW_CLUSTERS = 20  # a slice of fewer clusters in a half is not tested


@dataclass(frozen=True)
class FoundSlice:
    """A slice that is confirmed. All numbers but `rows` are of the held-out half.

    Attributes:
        by, name: the column (or two), and the value.
        rows: of all rows.
        score, outcome: mean score and mean outcome.
        low, high: interval of the gap, score - outcome.
        p_value: of scores that are the outcomes' probabilities.
        adjusted: after Holm's correction for all that were chosen.
        explained_by: the slice above in this list without whose rows nothing is shown here; "".
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
    """What was searched and found.

    Attributes:
        data: what was read.
        view: whose scores and outcomes: "top" or "positive".
        columns: those searched.
        skipped: what was not searched, and why.
        tried: how many slices were tried.
        small: how many were left out for too few rows.
        chosen: how many the first half chose.
        found: those that the second half confirmed, the widest gap first.
        level: of the interval; 1 - level is the error rate.
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


def search_slices(
    predictions: Readable,
    columns: Sequence[str] | None = None,
    *,
    pairs: bool = True,
    cluster: str | None = None,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> SliceSearch:
    """Search for the slices with the worst calibration.

    Args:
        predictions: a file, or predictions with columns in `extra`.
        columns: those to search, pseudo-columns included; None for all of them.
        pairs: whether values of two columns together are slices too.
        cluster: a column of which equal values are rows that hang together; they stay in one half.
        level: 1 - level is the largest chance of any false slice.
        seed: of the halves.
        progress: called now and then.

    Raises InputError, UsageError.
    """
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level:g}")
    if seed < 0:
        raise UsageError(f"--seed must not be negative, not {seed}")
    rows, names = _loaded(predictions, columns, cluster)
    parts, skipped = _parts(rows, names, explicit=columns is not None)
    if not parts:
        why = f" ({'; '.join(skipped)})" if skipped else ""
        raise InputError(f"{rows.source}: there is no column to search{why}")
    view = "positive" if rows.one_column else "top"
    sums = _Sums(reduce_rows(rows), view, None if cluster is None else rows.extra[cluster])
    first = _first_half(sums, rows.rows, seed)
    tried, small = [], 0
    candidates = list(_candidates(parts, pairs=pairs))
    p_values: list[Array] = []
    for done, one in enumerate(candidates, start=1):
        able = np.minimum(one.count(first), one.count(~first)) >= FEW // 2
        able &= one.count(np.ones_like(first)) >= FEW
        able &= sums.enough(one, first) & sums.enough(one, ~first)
        small += int(np.count_nonzero((one.count(np.ones_like(first)) > 0) & ~able))
        at = np.flatnonzero(able)
        tried += [(one, int(k)) for k in at]
        p_values.append(sums.p_values(one, first)[at])
        if progress is not None:
            progress("searching", done / len(candidates))
    p = np.concatenate(p_values) if p_values else np.zeros(0)
    adjusted = benjamini_hochberg(p.tolist()) if len(p) else []
    chosen = [pair for pair, q in zip(tried, adjusted, strict=True) if q <= CHOOSE]
    found = _confirmed(chosen, sums, ~first, level)
    return SliceSearch(
        DataInfo(rows.source, rows.rows, rows.classes, rows.kind, rows.weights is not None),
        view,
        tuple(part.by for part in parts),
        tuple(skipped),
        len(tried),
        small,
        len(chosen),
        tuple(_explained(found, sums, ~first, level)),
        level,
        seed,
        cluster or "",
    )


# ------------------------------------------------------------------ the columns


def _loaded(
    predictions: Readable, columns: Sequence[str] | None, cluster: str | None
) -> tuple[Predictions, list[str]]:
    """All rows in memory, and the columns to search."""
    if isinstance(predictions, Source):
        own = set(predictions.roles.columns())
        every = [
            name
            for name, column in predictions.table.columns.items()
            if name not in own and column.rows == predictions.rows_at_most and not column.nested
        ]
        names = list(columns or [*every, *(name for name in PSEUDO if name not in every)])
        rows = carrying(predictions, [*names, *([cluster] if cluster else [])]).load()
    elif isinstance(predictions, Predictions):
        rows = predictions
        every = list(rows.extra)
        names = list(columns or [*every, *(name for name in PSEUDO if name not in every)])
    else:
        raise InputError(f"{predictions.source}: slices need predictions in memory, or a file")
    if rows.kind != "confidence" and rows.labels is None:
        raise InputError(f"{rows.source}: there are no labels to measure against")
    if cluster and cluster not in rows.extra:
        raise InputError(f"{rows.source}: there is no column {cluster!r} of clusters")
    if columns is None and rows.kind == "confidence":
        names = [name for name in names if name != "predicted"]
    return rows, [name for name in names if name != cluster]


@dataclass(frozen=True, eq=False)
class _Part:
    """A column as slices, or two."""

    by: str
    names: Sequence[str]
    codes: Array

    def count(self, mask: Array) -> Array:
        return np.bincount(self.codes[mask], minlength=len(self.names))


def _parts(
    rows: Predictions, names: Sequence[str], *, explicit: bool
) -> tuple[list[_Part], list[str]]:
    parts, skipped = [], []
    for name in names:
        for one in names_in(name):
            why = "" if explicit else _unfit(rows, one)
            if why:
                skipped.append(f"{one}: {why}")
                continue
            found = partition(rows, one, most=MOST_VALUES)
            if len(found.names) > 1:
                parts.append(_Part(one, found.names, found.codes))
            else:
                skipped.append(f"{one}: holds one value")
    return parts, skipped


def _unfit(rows: Predictions, name: str) -> str:
    """Why a column is not searched unless it is named."""
    column = rows.extra.get(name)
    if column is None:
        return ""
    if column.ndim != 1:
        return "holds several values a row"
    if column.dtype.kind != "f" and 2 * len(np.unique(column.astype(str))) > len(column):
        return "has nearly a value a row"
    return "" if column.dtype.kind != "f" or np.isfinite(column).any() else "holds no number"


def _candidates(parts: Sequence[_Part], *, pairs: bool) -> Iterator[_Part]:
    yield from parts
    for a, b in combinations(parts, 2) if pairs else ():
        seen, codes = np.unique(a.codes * len(b.names) + b.codes, return_inverse=True)
        names = [f"{a.names[k // len(b.names)]}, {b.names[k % len(b.names)]}" for k in seen]
        yield _Part(f"{a.by},{b.by}", names, codes)


def _first_half(sums: _Sums, rows: int, seed: int) -> Array:
    """Which rows are searched; the others confirm. Rows of a cluster stay together."""
    rng = np.random.Generator(np.random.SFC64([seed, 9]))
    if sums.cluster is None:
        half = np.zeros(rows, bool)
        half[rng.permutation(rows)[: rows // 2]] = True
        return half
    clusters = int(sums.cluster.max()) + 1
    drawn = np.zeros(clusters, bool)
    drawn[rng.permutation(clusters)[: clusters // 2]] = True
    return drawn[sums.cluster]


# ------------------------------------------------------------------ sums of a slice


class _Sums:
    """Scores, outcomes and weights of the rows, and what sums over slices say."""

    def __init__(self, rows: Rows, view: str, cluster: Array | None) -> None:
        score, outcome = rows.view(view)
        self.score, self.outcome = score.astype(np.float64), outcome.astype(np.float64)
        self.weights = np.ones(len(score)) if rows.weights is None else rows.weights
        self.cluster = None if cluster is None else np.unique(cluster, return_inverse=True)[1]
        cells = Cells.from_rows(score, outcome)
        edges = equal_mass(cells, bins=BINS)
        self.bin = locate(score, edges)
        self.centres = cells.pool(edges).centres()

    def residual(self) -> Array:
        return self.weights * (self.outcome - self.score)

    def enough(self, part: _Part, mask: Array) -> Array:
        """Whether each slice has clusters enough."""
        if self.cluster is None:
            return np.ones(len(part.names), bool)
        pairs = np.unique(part.codes[mask] * (self.cluster.max() + 1) + self.cluster[mask])
        count = np.bincount(pairs // (self.cluster.max() + 1), minlength=len(part.names))
        return np.asarray(count >= FEW_CLUSTERS)

    def p_values(self, part: _Part, mask: Array) -> Array:
        """Of each slice, by the rows of a half."""
        gap, count, _ = self._sums(part, mask)
        p = two_sided(gap, count, self.centres)
        if self.cluster is None:
            return p
        error, clusters = self._robust(part, mask)
        deviate = np.divide(gap, error, out=np.zeros_like(gap), where=error > 0)
        return np.maximum(p, _student(deviate, np.maximum(clusters - 1, 1)))

    def _sums(self, part: _Part, mask: Array) -> tuple[Array, Array, Array]:
        """Each slice's sum of outcome - score, how many rows have which score, and their number:
        rows of equal weight that are as informative."""
        codes, size = part.codes[mask], len(part.names)
        w, bins = self.weights[mask], len(self.centres)
        mass = np.bincount(codes * bins + self.bin[mask], w, size * bins).reshape(size, bins)
        unit = self._unit(part, mask)
        gap = np.bincount(codes, self.residual()[mask], size) / unit
        return gap, mass / unit[:, None], mass.sum(axis=1) / unit

    def _unit(self, part: _Part, mask: Array) -> Array:
        w, size = self.weights[mask], len(part.names)
        total = np.bincount(part.codes[mask], w, size)
        squares = np.bincount(part.codes[mask], w * w, size)
        return np.divide(squares, total, out=np.ones(size), where=total > 0)

    def _robust(self, part: _Part, mask: Array) -> tuple[Array, Array]:
        """The standard error of each slice's sum from its sums by cluster, no less than that of
        independent outcomes; and the number of clusters."""
        assert self.cluster is not None
        size, count = len(part.names), int(self.cluster.max()) + 1
        codes, w = part.codes[mask], self.weights[mask]
        pairs, at = np.unique(codes * count + self.cluster[mask], return_inverse=True)
        own, which = np.bincount(at, self.residual()[mask]), pairs // count
        clusters = np.bincount(which, minlength=size)
        sums, squares = np.bincount(which, own, size), np.bincount(which, own**2, size)
        some = np.maximum(clusters, 2)
        robust = np.maximum(squares - sums**2 / some, 0) * some / (some - 1)
        alone = np.bincount(codes, w * w * self.score[mask] * (1 - self.score[mask]), size)
        return np.sqrt(np.maximum(robust, alone)) / self._unit(part, mask), clusters

    def means(
        self, part: _Part, k: int, mask: Array, level: float
    ) -> tuple[float, float, float, float]:
        """Mean score and outcome of a slice, and the interval of their gap."""
        own = _Part("", ("", "slice"), (part.codes == k).astype(np.int64))
        at = mask & (own.codes == 1)
        w = self.weights[at]
        score, outcome = (float(w @ x[at] / w.sum()) for x in (self.score, self.outcome))
        gap, count, rows = (x[1:] for x in self._sums(own, mask))
        low, high = excess(gap, count, self.centres, level)
        if self.cluster is not None:
            error, clusters = (x[1:] for x in self._robust(own, mask))
            reach = _student_reach(level, clusters - 1) * error
            low, high = np.minimum(low, gap - reach), np.maximum(high, gap + reach)
        return score, outcome, -float(high[0] / rows[0]), -float(low[0] / rows[0])


def _student(deviate: Array, freedom: Array) -> Array:
    """Two-sided p-value of Student's t."""
    from scipy.special import betainc

    t = np.abs(deviate)
    return np.asarray(betainc(freedom / 2, 0.5, freedom / (freedom + t * t)))


def _student_reach(level: float, freedom: Array) -> Array:
    """The deviate of Student's t that leaves 1 - level outside."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, (1 + level) / 2))


# ------------------------------------------------------------------ the other half


def _confirmed(
    chosen: Sequence[tuple[_Part, int]], sums: _Sums, held: Array, level: float
) -> list[tuple[FoundSlice, _Part, int]]:
    """Those that the held-out half confirms, the one whose gap is surely widest first."""
    p = [float(sums.p_values(part, held)[k]) for part, k in chosen]
    found = []
    for (part, k), own, adjusted in zip(chosen, p, holm(p), strict=True):
        if adjusted < 1 - level:
            rows = int(np.count_nonzero(part.codes == k))
            means = sums.means(part, k, held, level)
            found.append((FoundSlice(part.by, part.names[k], rows, *means, own, adjusted), part, k))

    def least(one: tuple[FoundSlice, _Part, int]) -> float:
        return -max(one[0].low, -one[0].high)

    return sorted(found, key=least)


def _explained(
    found: Sequence[tuple[FoundSlice, _Part, int]], sums: _Sums, held: Array, level: float
) -> Iterable[FoundSlice]:
    """The same, each with the slice above that leaves nothing of it, if there is one."""
    above: list[tuple[FoundSlice, Array]] = []
    for one, part, k in found:
        inside = part.codes == k
        why = ""
        for other, rows in above:
            left = held & ~rows
            few = np.count_nonzero(left & inside) < FEW // 2
            if few or sums.p_values(part, left)[k] >= 1 - level:
                why = other.name
                break
        if not why:
            above.append((one, inside))
        yield replace(one, explained_by=why)
