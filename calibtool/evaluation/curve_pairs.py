"""Paired rows of errors of curves: how far the gaps of two variants are apart (`pairs`)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from calibtool.evaluation.apart import Apart, Together
from calibtool.evaluation.binary_problems import RowProblems
from calibtool.evaluation.collect import Collected
from calibtool.evaluation.drawn_problems import BinaryProblem
from calibtool.metrics.cells import Cells
from calibtool.metrics.kernel import mmce
from calibtool.metrics.smooth import EDGE, SLOPE, smece
from calibtool.metrics.spec import Spec
from calibtool.types import Array

# Stretches of ranks at whose ends the spread of a cumulative gap is taken where rows are clustered.
_STRETCHES = 64
# Halvings of the bracket of smooth ECE's reach: 2^-12 of the noise in it.
_HALVINGS = 12


def of_curves(
    spec: Spec, before: Collected, after: Collected, together: Together, deviate: float
) -> Apart | None:
    """Return how far the gaps of an error of a curve are apart, combined over the problems like the
    error itself.

    In the label view, problems of other rows than before have no triangle.
    """
    if spec.view == "label":
        assert before.rows.predicted is not None
        assert after.rows.predicted is not None
        if (before.rows.predicted != after.rows.predicted).any():
            return None
    measure = CURVES[spec.metric.name]
    problems = [RowProblems(variant, spec.view) for variant in (before, after)]
    apart, mass = [], []
    for k in range(len(problems[0])):
        pair = (problems[0].problem(k), problems[1].problem(k))
        of_rows = together.of(pair[0].rows)
        apart.append(measure(spec, *pair, of_rows, deviate))
        weights = pair[0].weights
        mass.append(float(of_rows.rows if weights is None else weights.sum()))
    distance, spread = np.array(apart).T
    if spec.view != "label":
        return Apart(float(distance.mean()), float(spread.mean()))
    share = np.array(mass) / sum(mass)
    return Apart(float(share @ distance), float(share @ spread))


def _paths(
    spec: Spec, before: BinaryProblem, after: BinaryProblem, together: Together, deviate: float
) -> Apart:
    """Return how far two cumulative gaps are apart, rank by rank, for KS and Kuiper.

    A row counts from its rank on: the share of the weight at or below its score. Between its ranks
    before and after it counts with one residual, beyond both with the difference of the two.
    """
    shares = together.shares
    ranks = [_ranks(problem.score, shares) for problem in (before, after)]
    first, second = (
        problem.outcome - problem.score.astype(np.float64) for problem in (before, after)
    )
    at = np.concatenate(ranks)
    order = np.argsort(at, kind="stable")
    last = np.append(at[order][1:] != at[order][:-1], True)  # rows of equal rank enter together
    path = np.cumsum(np.concatenate([-shares * first, shares * second])[order])[last]
    early = np.where(ranks[0] <= ranks[1], first, second) ** 2
    change = (second - first) ** 2 - early
    enter, leave = np.minimum(*ranks), np.maximum(*ranks)
    if together.cluster is None:
        at = np.concatenate([enter, leave])
        order = np.argsort(at, kind="stable")
        last = np.append(at[order][1:] != at[order][:-1], True)
        square = np.concatenate([shares**2 * early, shares**2 * change])
        variance = float(np.cumsum(square[order])[last].max())
    else:
        variance = 0.0
        for rank in np.arange(1, _STRETCHES + 1) / _STRETCHES:
            counted = shares * (second * (ranks[1] <= rank) - first * (ranks[0] <= rank))
            variance = max(variance, float((counted * together.summed(counted)).sum()))
    spread = math.sqrt(max(variance, 0.0))
    if spec.metric.name == "ks":
        return Apart(float(np.abs(path).max()), spread)
    # a step between two ranks varies at most like both ends together
    return Apart(float(max(path.max(), 0) - min(path.min(), 0)), 2 * spread)


def _ranks(score: Array, shares: Array) -> Array:
    """Return for each row the share of the weight at or below its score."""
    order = np.argsort(score, kind="stable")
    total = np.cumsum(shares[order])
    ends = np.searchsorted(score[order], score, side="right") - 1
    return np.asarray(np.minimum(total[ends], 1.0))


def _moved(before: BinaryProblem, after: BinaryProblem, together: Together) -> Cells:
    """Return the gap after minus the gap before as cells: each row once at each of its scores."""
    score = np.concatenate([x.score.astype(np.float64) for x in (before, after)])
    residual = [x.outcome - x.score.astype(np.float64) for x in (before, after)]
    # a share of all 2 N rows here counts as one of N rows
    gap = 2 * np.concatenate([-together.shares * residual[0], together.shares * residual[1]])
    n = np.concatenate([together.shares] * 2)
    order = np.argsort(score, kind="stable")
    score, gap, n = score[order], gap[order], n[order]
    return Cells(score, n, n * score, n * score + gap)


def _embedded(
    spec: Spec, before: BinaryProblem, after: BinaryProblem, together: Together, deviate: float
) -> Apart:
    """Return how far two gaps are apart in the space of MMCE's kernel.

    The variance of a function of norm 1 is at most that of all directions together.
    """
    p, q = (problem.score.astype(np.float64) for problem in (before, after))
    r, s = before.outcome - p, after.outcome - q
    near = np.exp(-np.abs(q - p) / spec.options["width"])
    length = together.shares * np.sqrt(np.maximum(r * r + s * s - 2 * r * s * near, 0))
    spread = math.sqrt(float((length * together.summed(length)).sum()))
    return Apart(float(mmce(_moved(before, after, together), **spec.options)), spread)


def _smoothed(
    spec: Spec, before: BinaryProblem, after: BinaryProblem, together: Together, deviate: float
) -> Apart:
    """Return how far two gaps are apart by smooth ECE.

    With E(s) the error at bandwidth s, which falls with s, and D(s) that of the difference, let
    s be the larger of the two answers E(s) = s, and t the other: s <= E'(s) + D(s) <= t + D(s). So
    s - t <= D(s), which is at most D(s - t): the largest s - t is the answer of the difference,
    D(c) = c. At bandwidth c a row adds to D at most |r' - r| and |r| times the distance of its two
    kernels, sqrt(2 / pi) |x' - x| / c, which is at most 2.
    """
    p, q = (problem.score.astype(np.float64) for problem in (before, after))
    r, s = before.outcome - p, after.outcome - q
    changed, step = np.abs(s - r), np.abs(q - p)
    if spec.options["kernel"] == "logit":
        p, q = (np.clip(x, EDGE, 1 - EDGE) for x in (p, q))
        step = np.abs(np.log(q / (1 - q)) - np.log(p / (1 - p))) / SLOPE
    distance = float(smece(_moved(before, after, together), **spec.options))

    def noise(bandwidth: float) -> float:
        far = np.minimum(math.sqrt(2 / math.pi) * step / bandwidth, 2)
        counted = together.shares * (changed + np.minimum(np.abs(r), np.abs(s)) * far)
        return math.sqrt(float((counted * together.summed(counted)).sum()))

    if not (changed.any() or step.any()):
        return Apart(0.0, 0.0)
    low, high = distance, distance + deviate * noise(max(distance, 1e-12))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = middle < distance + deviate * noise(middle)
        low, high = (middle, high) if below else (low, middle)
    return Apart(high, 0.0)


CURVES: dict[str, Callable[[Spec, BinaryProblem, BinaryProblem, Together, float], Apart]] = {
    "ks": _paths,
    "kuiper": _paths,
    "mmce": _embedded,
    "smece": _smoothed,
}
