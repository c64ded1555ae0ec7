"""Ranking and selective prediction: how well scores order the rows, whatever their calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from calibtool.intervals import risk_coverage
from calibtool.metrics.cells import Cells, quotient
from calibtool.metrics.kinds import CellMetric, TwoFileMetric
from calibtool.metrics.proper import certainty
from calibtool.types import Array

# Values of replicates worked on at a time: a megabyte, of which few are looked at more than once.
_AT_ONCE = 1 << 17
_ROUNDING = 1e-9  # of shares of the rows: far more than that of their sums


def auroc(cells: Cells) -> Array:
    """Return the chance that a row with the outcome scores above one without; ties count half.

    Hanley & McNeil 1982. In the top view: of right answers above wrong ones (Hendrycks & Gimpel
    2017). NaN where all outcomes are equal.

    >>> float(auroc(Cells.from_rows(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))))
    0.875
    """
    with_, without = cells.y, cells.n - cells.y
    below = np.cumsum(without, axis=-1) - without / 2
    pairs = with_.sum(axis=-1) * without.sum(axis=-1)
    return quotient((with_ * below).sum(axis=-1), pairs)


def delong(cells: Cells, level: float) -> tuple[float, float]:
    """Return the interval of the AUROC by placement values, on the logit scale.

    DeLong, DeLong & Clarke-Pearson 1988. `cells` have no leading axes.

    >>> cells = Cells.from_rows(np.arange(8) / 8, np.array([0, 0, 1, 0, 1, 0, 1, 1]))
    >>> low, high = delong(cells, 0.95)
    >>> low < 0.8125 < high
    True
    """
    with_, without = cells.y, cells.n - cells.y
    a, b = with_.sum(), without.sum()
    value = float(auroc(cells))
    if not 0 < value < 1 or min(a, b) < 2:
        return _separated(value, float(a), float(b), level)
    # placement values: the share of the other kind that a row ranks above, ties half
    above = (np.cumsum(without) - without / 2) / b  # of each row with the outcome
    below = 1 - (np.cumsum(with_) - with_ / 2) / a  # of each row without
    variance = (with_ * (above - value) ** 2).sum() / (a * (a - 1))
    variance += (without * (below - value) ** 2).sum() / (b * (b - 1))
    # d logit(v) / dv = 1 / (v (1 - v)); on the logit scale the interval stays within [0, 1]
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance) / (value * (1 - value))
    centre = math.log(value / (1 - value))
    return _expit(centre - reach), _expit(centre + reach)


def _separated(value: float, a: float, b: float, level: float) -> tuple[float, float]:
    """Return the interval where the rows are perfectly in order and the sample shows no spread.

    The AUROC is at least the value v at which min(a, b) rows would all be in order with probability
    (1 - level) / 2 = v^min(a, b).
    """
    if not math.isfinite(value):
        return math.nan, math.nan
    reach = ((1 - level) / 2) ** (1 / max(min(a, b), 1.0))
    return (reach, 1.0) if value >= 0.5 else (0.0, 1 - reach)


def auprc(cells: Cells) -> Array:
    """Return the average precision: the precision at each score, weighted by the recall it adds.

    The highest scores come first, ties together (Manning et al. 2008, ch. 8; scikit-learn). NaN
    where no row has the outcome.

    >>> round(float(auprc(Cells.from_rows(np.array([0.1, 0.4, 0.9]), np.array([0, 1, 1])))), 3)
    1.0
    """
    hits = np.cumsum(cells.y[..., ::-1], axis=-1)
    taken = np.cumsum(cells.n[..., ::-1], axis=-1)
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    return quotient((precision * cells.y[..., ::-1]).sum(axis=-1), hits[..., -1])


def aurc(cells: Cells) -> Array:
    """Return the area under the risk-coverage curve (El-Yaniv & Wiener 2010; Geifman et al. 2019).

    That is the error rate of the most confident share c of the rows, averaged over all c from 0 to
    1, with errors spread evenly within a tie.

    >>> float(aurc(Cells.from_rows(np.array([0.9, 0.8]), np.array([1, 1]))))
    0.0
    """
    wrong, rows = (cells.n - cells.y)[..., ::-1], cells.n[..., ::-1]
    taken, missed = np.cumsum(rows, axis=-1), np.cumsum(wrong, axis=-1)
    before = taken - rows
    rate = np.divide(wrong, rows, out=np.zeros_like(wrong), where=rows > 0)
    # In a cell that starts after `before` rows and m errors, the error rate after t more rows is
    # (m + rate t) / (before + t). Its integral over the rows of the cell is
    # rate rows + (m - rate before) ln(1 + rows / before).
    excess = missed - wrong - rate * before
    ratio = np.divide(rows, before, out=np.zeros_like(rows), where=before > 1e-9 * taken)
    area = rate * rows + excess * np.log1p(ratio)
    return np.asarray(area.sum(axis=-1) / taken[..., -1])


def e_aurc(cells: Cells) -> Array:
    """Return AURC minus that of the best order, r + (1 - r) ln(1 - r) for an error rate of r.

    Geifman et al. 2019, eq. 3.

    >>> round(float(e_aurc(Cells.from_rows(np.array([0.9, 0.8]), np.array([1, 0])))), 6)
    0.0
    """
    right = cells.y.sum(axis=-1) / cells.total
    logs = np.log(right, out=np.zeros_like(right), where=right > 0)
    return np.asarray(aurc(cells) - (1 - right + right * logs))


def augrc(cells: Cells) -> Array:
    """Return the area under the generalized risk-coverage curve (Traub et al. 2024, eq. 6).

    That is the share of all rows that are answered and wrong, averaged over coverage.

    >>> float(augrc(Cells.from_rows(np.array([0.9, 0.8]), np.array([0, 0]))))
    0.5
    """
    wrong, rows = (cells.n - cells.y)[..., ::-1], cells.n[..., ::-1]
    missed = np.cumsum(wrong, axis=-1) - wrong / 2
    return np.asarray((missed * rows).sum(axis=-1) / cells.total**2)


def accuracy_at_coverage(cells: Cells, *, coverage: float = 0.9) -> Array:
    """Return the accuracy of the most confident share of the rows (El-Yaniv & Wiener 2010).

    >>> scores = np.array([0.9, 0.8, 0.7, 0.6])
    >>> float(accuracy_at_coverage(Cells.from_rows(scores, np.array([1, 1, 0, 0])), coverage=0.5))
    1.0
    """
    return accuracies_at(cells, [coverage])[..., 0]


def accuracies_at(cells: Cells, coverages: Sequence[float]) -> Array:
    """Return the accuracy of the most confident share of the rows, for each of several shares on
    the last axis."""
    lead, size = cells.n.shape[:-1], cells.n.shape[-1]
    hits, rows = (np.ascontiguousarray(x[..., ::-1]).reshape(-1, size) for x in (cells.y, cells.n))
    rate = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    out = np.empty((len(rows), len(coverages)))
    step = max(1, _AT_ONCE // max(size, 1))
    for low in range(0, len(rows), step):
        at = slice(low, low + step)
        _accuracies(rows[at], rate[at], coverages, out[at])
    return out.reshape(*lead, len(coverages))


def _accuracies(rows: Array, rate: Array, coverages: Sequence[float], out: Array) -> None:
    """Write the accuracies of some replicates, (R, coverages), into `out`.

    From one coverage to the next larger one, few cells change: those that end in a replicate at
    more than the one and begin in a replicate at less than the other.

    Args:
        rows: (R, C) the weight of each cell, the most confident first.
        rate: (R, C) its accuracy.
        coverages: shares of the rows, in any order.
        out: (R, coverages).
    """
    taken = np.cumsum(rows, axis=-1)
    before, whole = taken - rows, taken[:, -1:]
    share = np.maximum(whole, 1e-300)  # no division by 0, where the accuracy is not defined
    latest, soonest = (taken / share).max(axis=0), (before / share).min(axis=0)
    right, first = np.zeros_like(before), 0
    for k in np.argsort(coverages):
        wanted = coverages[k] * whole
        last = np.searchsorted(soonest, coverages[k] + _ROUNDING)
        counted = wanted - before[:, first:last]
        np.maximum(counted, 0, out=counted)
        np.minimum(counted, rows[:, first:last], out=counted)
        np.multiply(counted, rate[:, first:last], out=right[:, first:last])
        out[:, k] = right.sum(axis=-1) / wanted[:, 0]
        first = np.searchsorted(latest, coverages[k] - _ROUNDING)


def coverage_at_risk(cells: Cells, *, risk: float = 0.05) -> Array:
    """Return the largest share of the rows whose error rate is at most `risk`.

    The most confident rows come first; ties stay together (Geifman & El-Yaniv 2017).

    >>> scores = np.array([0.9, 0.8, 0.7, 0.6])
    >>> float(coverage_at_risk(Cells.from_rows(scores, np.array([1, 1, 1, 0])), risk=0.1))
    0.75
    """
    wrong, rows = (cells.n - cells.y)[..., ::-1], cells.n[..., ::-1]
    taken, missed = np.cumsum(rows, axis=-1), np.cumsum(wrong, axis=-1)
    fits = missed <= risk * taken * (1 + 1e-12)  # a rate of exactly `risk` fits, despite rounding
    return np.asarray(np.where(fits, taken, 0).max(axis=-1) / taken[..., -1])


def coverage_at_risk_interval(
    cells: Cells, level: float, *, risk: float = 0.05
) -> tuple[float, float]:
    """Return the interval of `coverage_at_risk` (`intervals.risk_coverage`)."""
    return risk_coverage.interval((cells.n - cells.y)[::-1], cells.n[::-1], risk, level)


def fpr95(cells: Cells) -> Array:
    """Return the false positive rate at 95 % recall (Liang et al. 2018).

    That is the share of the rows without the outcome that score at or above the 5 % quantile of
    the rows with it.

    >>> float(fpr95(Cells.from_rows(np.array([0.1, 0.4, 0.5, 0.9]), np.array([0, 1, 0, 1]))))
    0.5
    """
    with_, without = cells.y[..., ::-1], (cells.n - cells.y)[..., ::-1]
    recalled = np.cumsum(with_, axis=-1)
    first = (recalled < 0.95 * recalled[..., -1:]).sum(axis=-1, keepdims=True)
    passed = np.take_along_axis(np.cumsum(without, axis=-1), first, -1)[..., 0]
    return quotient(passed, without.sum(axis=-1))


def _expit(x: float) -> float:
    """Return the inverse of the logit."""
    return 1 / (1 + math.exp(-x))


# what no metric of ranking sees
ORDER = "calibration: any increasing transformation of the scores leaves it unchanged"
RANKING: tuple[CellMetric, ...] = (
    CellMetric(
        "auroc",
        "Area under the ROC curve",
        "chance that a row of the class scores above another; ties count half; mean over K > 2",
        "Hanley & McNeil 1982; interval of two classes: DeLong et al. 1988",
        auroc,
        least=0,
        most=1,
        view="ranks",
        better="higher",
        interval=delong,
        ideal=1,
        sees="the order of the scores",
        blind=ORDER,
    ),
    CellMetric(
        "auprc",
        "Average precision",
        "mean over the rows of the class of the precision at their score; mean for K > 2",
        "Manning et al. 2008, ch. 8",
        auprc,
        least=0,
        most=1,
        pushed=True,
        view="ranks",
        better="higher",
        ideal=1,
        sees="the order of the highest scores",
        blind=ORDER,
    ),
    CellMetric(
        "auroc-correct",
        "AUROC of confidence for correctness",
        "chance that a right answer is more confident than a wrong one; ties count half",
        "Hendrycks & Gimpel 2017",
        auroc,
        least=0,
        most=1,
        view="top",
        better="higher",
        interval=delong,
        ideal=1,
        sees="how well confidence separates right from wrong answers",
        blind=ORDER,
    ),
    CellMetric(
        "aurc",
        "Area under the risk-coverage curve",
        "error rate of the most confident share c of the rows, averaged over c",
        "El-Yaniv & Wiener 2010; Geifman et al. 2019",
        aurc,
        least=0,
        most=1,
        view="top",
        ideal=0,
        sees="errors among the most confident rows most",
        blind=ORDER,
    ),
    CellMetric(
        "e-aurc",
        "Excess AURC",
        "AURC - that of the best order of the same errors",
        "Geifman et al. 2019, eq. 3",
        e_aurc,
        least=0,
        most=1,
        view="top",
        ideal=0,
        sees="only the order, not the error rate",
        blind=ORDER,
    ),
    CellMetric(
        "augrc",
        "Area under the generalized risk-coverage curve",
        "share of the rows that are kept and wrong, averaged over coverage",
        "Traub et al. 2024, eq. 6",
        augrc,
        least=0,
        most=0.5,
        view="top",
        ideal=0,
        sees="all errors equally, wherever they stand in the order",
        blind=ORDER,
    ),
    CellMetric(
        "accuracy-at-coverage",
        "Accuracy at coverage",
        "accuracy of the most confident share `coverage` of the rows",
        "El-Yaniv & Wiener 2010",
        accuracy_at_coverage,
        least=0,
        most=1,
        view="top",
        better="higher",
        ideal=1,
        sees="what is gained by answering only when confident",
        blind=ORDER,
    ),
    CellMetric(
        "coverage-at-risk",
        "Coverage at risk",
        "largest share of the rows, the most confident first, with an error rate of at most `risk`",
        "Geifman & El-Yaniv 2017",
        coverage_at_risk,
        interval=coverage_at_risk_interval,
        interval_name="exact",
        replicated=False,
        least=0,
        most=1,
        view="top",
        better="higher",
        ideal=1,
        sees="how many rows can be answered at a promised error rate",
        blind=ORDER,
    ),
)
OUT_OF_DISTRIBUTION: tuple[TwoFileMetric, ...] = (
    TwoFileMetric(
        "ood-auroc",
        "AUROC for out-of-distribution rows",
        "chance that a row of this file scores above one of the file given with --ood",
        "Hendrycks & Gimpel 2017; Mukhoti et al. 2020",
        auroc,
        certainty,
        better="higher",
        interval=delong,
        ideal=1,
        least=0,
        most=1,
        sees="how well confidence (or entropy) separates these rows from those",
        blind=ORDER,
    ),
    TwoFileMetric(
        "ood-fpr95",
        "False positive rate at 95 % recall",
        "share of the --ood rows that score above the lowest 5 % of these rows",
        "Liang et al. 2018",
        fpr95,
        certainty,
        better="lower",
        ideal=0,
        least=0,
        most=1,
        sees="how many --ood rows are taken for rows of this file",
        blind=ORDER,
    ),
)
