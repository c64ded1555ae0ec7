"""Paired rows of binned errors: how far the gaps of two variants are apart (`pairs`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calibtool.evaluation.apart import Apart, Together
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.one_vs_rest import OneVsRest
from calibtool.metrics.cells import locate
from calibtool.metrics.profiles import profile
from calibtool.metrics.spec import Spec
from calibtool.types import Array


@dataclass(frozen=True, eq=False)
class _Push:
    """What every row adds to one coordinate of a vector.

    Attributes:
        at: (B,) the vector.
        where: (N,) the coordinate of each row.
        push: (N,) the derivative of the coordinate by the row's share.
    """

    at: Array
    where: Array
    push: Array


def _push(norm: str, score: Array, outcome: Array, where: Array, size: int, shares: Array) -> _Push:
    """Return the vector whose plain norm is the error (`metrics.norms`).

    l1 has the gaps themselves, l2 the gaps over the root of the mass, the worst and the average
    the gaps over the mass. As the mass is that of the rows too, a row that joins a bin also makes
    its mean gap count less, by `part` of it.
    """
    residual = outcome - score.astype(np.float64)
    mass = np.bincount(where, shares, size)
    gap = np.bincount(where, shares * residual, size)
    some = mass > 0
    safe = np.where(some, mass, 1)
    scale, part = {
        "l1": (np.ones(size), 0.0),
        "l2": (1 / np.sqrt(safe), 0.5),
        "worst": (1 / safe, 1.0),
        "average": (1 / safe / some.sum(), 1.0),
    }[norm]
    push = (residual - part * (gap / safe)[where]) * scale[where]
    return _Push(gap * scale, where, push)


# The plain norm of each norm of profiles, or of what it estimates; and what its vector is.
_PLAIN = {
    "l1": ("l1", "l1"),
    "over": ("l1", "l1"),
    "under": ("l1", "l1"),
    "debiased_l1": ("l1", "l1"),
    "l2": ("l2", "l2"),
    "debiased_l2": ("l2", "l2"),
    "worst": ("largest", "worst"),
    "average": ("l1", "average"),
}


def _apart(plain: str, before: _Push, after: _Push, together: Together) -> Apart:
    """Return how far two vectors of the same rows are apart.

    A row moves the difference by push' - push in one coordinate, or by -push and push' in two. The
    variance of a function with coefficients c is at most the sum over coordinates of
    c_b^2 sum_i |v_ib| |v_i|, where |v_i| is summed over coordinates and over rows drawn together
    (Gershgorin). For the dual of l2 (sum c^2 = 1) and of the largest (sum |c| = 1) its maximum is
    that of the coordinates; for that of l1 (|c| <= 1) it is their sum.
    """
    size = max(len(before.at), len(after.at))
    moved = np.zeros(size)
    moved[: len(after.at)] += after.at
    moved[: len(before.at)] -= before.at
    distance = {
        "l1": np.abs(moved).sum(),
        "l2": np.sqrt((moved**2).sum()),
        "largest": np.abs(moved).max(),
    }[plain]
    same = before.where == after.where
    one = np.where(same, np.abs(after.push - before.push), np.abs(before.push))
    two = np.where(same, 0.0, np.abs(after.push))
    shares = together.shares
    whole = together.summed(shares * (one + two)) * shares
    if plain == "l1":
        return Apart(float(distance), math.sqrt(float((whole * (one + two)).sum())))
    by_bin = np.bincount(before.where, whole * one, size)
    by_bin += np.bincount(after.where, whole * two, size)
    return Apart(float(distance), math.sqrt(float(by_bin.max())))


def of_bins(
    spec: Spec,
    before: Collected,
    after: Collected,
    edges: tuple[tuple[Array, ...], tuple[Array, ...]],
    together: Together,
) -> Apart | None:
    """Return how far the gaps of a binned error are apart."""
    if spec.norm not in _PLAIN or not all(edges) or spec.without is not None:
        return None  # of all classes but one no bound is known
    plain, norm = _PLAIN[spec.norm]
    if spec.view == "class":
        if not spec.one_edge_for_all:
            return _of_classes(plain, norm, before, after, edges, together)
        if before.classes is None or after.classes is None or norm != "l1":
            return None
        return _of_entries(before.classes, after.classes, edges[0][0], together)
    variants = (before, after)
    wheres, size = _bins(spec, variants, edges)
    vectors = [
        _push(norm, *variant.rows.view(spec.view), where, size, together.shares)
        for variant, where in zip(variants, wheres, strict=True)
    ]
    return _apart(plain, vectors[0], vectors[1], together)


def _bins(
    spec: Spec,
    variants: tuple[Collected, Collected],
    edges: tuple[tuple[Array, ...], tuple[Array, ...]],
) -> tuple[list[Array], int]:
    """Return the bin of each row in each variant, and the number of bins; in the label view, each
    predicted class has its own."""
    bins = max(len(of_problem) for of_variant in edges for of_problem in of_variant)
    wheres, most = [], 0
    for variant, of_variant in zip(variants, edges, strict=True):
        score, _ = variant.rows.view(spec.view)
        if spec.view != "label":
            wheres.append(locate(score, of_variant[0]))
            continue
        predicted = variant.rows.predicted
        assert predicted is not None
        keys = np.unique(predicted)
        where = np.empty(len(score), np.int64)
        for key, of_problem in zip(keys.tolist(), of_variant, strict=True):
            at = np.flatnonzero(predicted == key)
            where[at] = key * bins + locate(score[at], of_problem)
        wheres.append(where)
        most = max(most, int(keys[-1]))
    return wheres, bins * (most + 1)


def _of_classes(
    plain: str,
    norm: str,
    before: Collected,
    after: Collected,
    edges: tuple[tuple[Array, ...], tuple[Array, ...]],
    together: Together,
) -> Apart:
    """Return how far the gaps of all classes are apart, each in its own bins: the mean over
    classes of distances, and of spreads, which is no less than the spread of the mean."""
    problems = [RowProblems(variant, "class") for variant in (before, after)]
    shares, apart = together.shares, []
    for k in range(len(problems[0])):
        pair = []
        for of_variant, of_bins in zip(problems, edges, strict=True):
            problem, ends = of_variant.problem(k), of_bins[k]
            where = locate(problem.score, ends)
            pair.append(_push(norm, problem.score, problem.outcome, where, len(ends), shares))
        apart.append(_apart(plain, pair[0], pair[1], together))
    return Apart(*np.mean(apart, axis=0).tolist())


def _of_entries(before: OneVsRest, after: OneVsRest, edges: Array, together: Together) -> Apart:
    """Return how far the gaps of all classes are apart in bins that they share, as the mean over
    classes of l1, from the larger entries of each row.

    Of the entries that neither variant keeps, in the first bin of both, what moves is taken to be
    their sum: maps that raise some of a row's smallest probabilities and lower others move more,
    but hardly by noise.
    """
    gaps = [profile(view.cells(edges)).gap for view in (before, after)]
    classes = len(before.low)
    keys = [view.row.astype(np.int64) * classes + view.index for view in (before, after)]
    kept = [np.isin(own, other, assume_unique=True) for own, other in (keys, keys[::-1])]
    # entries are listed row by row and class by class, so that those of both pair up in order
    (where, residual), (where_after, residual_after) = (
        _entries(view, edges, in_both) for view, in_both in zip((before, after), kept, strict=True)
    )
    apart = np.where(
        where == where_after,
        np.abs(residual_after - residual),
        np.abs(residual) + np.abs(residual_after),
    )
    # of no entries, NumPy counts in whole numbers
    moves = np.bincount(before.row[kept[0]], apart, together.rows).astype(np.float64)
    small = []
    for view, in_both in zip((before, after), kept, strict=True):
        value = view.value.astype(np.float64)
        small.append(1 - np.bincount(view.row, value, together.rows))
        # an entry of one variant alone: the other's lies in the first bin
        alone_where, alone = _entries(view, edges, ~in_both)
        other = np.where(alone_where == 0, 0.0, edges[0])
        hit = view.labels[view.row[~in_both]] == view.index[~in_both]
        other = np.where(hit & (alone_where > 0), 1.0, other)
        moves += np.bincount(view.row[~in_both], np.abs(alone) + other, together.rows)
    moves = (moves + np.abs(small[1] - small[0])) / classes
    counted = together.shares * moves
    spread = math.sqrt(float((counted * together.summed(counted)).sum()))
    return Apart(float(np.abs(gaps[1] - gaps[0]).sum()) / classes, spread)


def _entries(view: OneVsRest, edges: Array, which: Array) -> tuple[Array, Array]:
    """Return the bin and the residual of some of the entries that a view keeps."""
    value = view.value[which]
    hit = view.labels[view.row[which]] == view.index[which]
    return locate(value, edges), hit - value.astype(np.float64)
