"""What decisions cost: by the most probable class, or by the least expected cost; before and after
a calibrator.

The Bayes decision for probabilities p is the class with the least sum over truths k of p_k times
its cost, or a rejection if that costs less (Chow 1970; Ferrer 2023). It is the best there is if the
probabilities are right, so that what it costs less after a calibrator is what calibration is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.data.predictions import DataInfo, names_of_classes
from calibtool.data.rows import to_probs
from calibtool.decisions.choose import choosing
from calibtool.decisions.costs import Costs
from calibtool.errors import NotAvailableError
from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.streaming.read import read as read_data
from calibtool.types import Array, Shown

CROSS_FITTED = "Calibrated rows are cross-fitted: each by a fit to the other four fifths."
_Z = 1.959963984540054  # the normal quantile of 95 % intervals


@dataclass(frozen=True)
class Cost:
    """The mean cost of a row.

    Attributes:
        rule: what decides, in words.
        value: the mean.
        low, high: its 95 % interval, by the normal distribution.
        rejected: the share of rows that are handed to a person.
        normalized: as a share of the cost of the best decision that is the same for all rows; None
            if that costs nothing.
    """

    rule: str
    value: float
    low: float
    high: float
    rejected: float
    normalized: float | None


@dataclass(frozen=True)
class CostReport(Shown):
    """What decisions cost, by rule.

    Attributes:
        data: the rows.
        source: of the costs.
        costs: one per rule; the last decides best, if the probabilities are right.
        gains: what is saved by deciding by costs, and by calibrating first: differences of means on
            the same rows.
        constant: the best decision that is the same for all rows.
        calibrator: its description, or "".
        notes: what a user should know.
    """

    data: DataInfo
    source: str
    costs: tuple[Cost, ...]
    gains: tuple[Cost, ...]
    constant: str
    calibrator: str = ""
    notes: tuple[str, ...] = ()


def decision_costs(
    data: Any,
    *,
    costs: Costs,
    calibrator: Calibrator | None = None,
    cross_fit: bool = False,
    **keys: Any,
) -> CostReport:
    """Measure what decisions cost.

    Args:
        data: labelled predictions of classes, all that `ct.read` takes.
        costs: of each decision for each class, and of a rejection: `ct.read_costs`.
        calibrator: also measure after it; fitted on other rows.
        cross_fit: measure on rows that were calibrated by fits of the same method which did not see
            them.
        keys: which column has which role, as for `ct.load`.

    Raises UsageError for costs of other classes; NotAvailableError for confidences alone, and where
    there are no labels.

    >>> from calibtool.data.predictions import Predictions
    >>> p = Predictions.from_probs([0.3, 0.9], [1, 0])
    >>> report = decision_costs(p, costs=Costs("", {"1": {"0": 10}, "0": {"1": 1}}))
    >>> [cost.value for cost in report.costs]
    [5.5, 0.5]
    """
    source = read_data(data, **keys)
    if calibrator and hasattr(source, "also"):
        source = source.also(calibrator.columns)
    before, after, _ = choosing(source.load(), calibrator, cross_fit=cross_fit)
    matrix = costs.matrix(before)
    if before.labels is None:
        raise NotAvailableError(f"{before.source}: has no labels, by which decisions are judged")
    names = names_of_classes(before)
    weights = np.ones(before.rows) if before.weights is None else before.weights
    shares = np.bincount(before.labels, weights, minlength=len(matrix)) / weights.sum()
    same = shares @ matrix
    least = float(same.min())
    constant = f"always {names[int(same.argmin())]}"
    if costs.reject is not None and costs.reject < least:
        least, constant = costs.reject, "always a person"
    each: dict[str, tuple[Array, Array]] = {}
    variants = [(before, "")] + ([(after, ", calibrated")] if calibrator else [])
    for rows, suffix in variants:
        probs = np.asarray(to_probs(rows).matrix(), np.float64)
        for rule, decision in (
            ("most probable class", probs.argmax(axis=1)),
            ("least expected cost", bayes(probs, matrix, costs.reject)),
        ):
            each[rule + suffix] = paid(decision, before.labels, matrix, costs.reject), decision < 0
    measured = tuple(
        _cost(rule, paid_, weights, rejected, least) for rule, (paid_, rejected) in each.items()
    )
    none = np.zeros(before.rows, bool)
    first, last = next(iter(each)), list(each)[-1]
    pairs = [("by deciding by costs", first, "least expected cost")]
    if calibrator:
        pairs += [
            ("by calibrating first", "least expected cost", last),
            ("by both", first, last),
        ]
    gains = tuple(
        _cost(name, each[a][0] - each[b][0], weights, none, least) for name, a, b in pairs
    )
    title = calibrator.describe() if calibrator else ""
    notes = (CROSS_FITTED,) if cross_fit else ()
    info = DataInfo.of(before)
    return CostReport(info, costs.source, measured, gains, constant, title, notes)


def bayes(probs: Array, matrix: Array, reject: float | None) -> Array:
    """Return the decision with the least expected cost, (N,) class ids; -1 for a rejection.

    >>> bayes(np.array([[0.8, 0.2]]), np.array([[0, 1], [10, 0]]), None)
    array([1])
    """
    expected = probs @ matrix
    decision = np.asarray(expected.argmin(axis=1), np.int64)
    if reject is not None:
        decision[expected.min(axis=1) > reject] = -1
    return decision


def paid(decision: Array, labels: Array, matrix: Array, reject: float | None) -> Array:
    """Return the cost of each decision, (N,)."""
    each = matrix[labels, decision].astype(np.float64)
    return each if reject is None else np.where(decision < 0, reject, each)


def _cost(rule: str, each: Array, weights: Array, rejected: Array, least: float) -> Cost:
    share = weights / weights.sum()
    mean = float(share @ each)
    rows = len(each)
    spread = variance_of_mean(each, weights) * rows / max(rows - 1, 1)
    side = _Z * math.sqrt(spread)
    normalized = mean / least if least else None
    return Cost(rule, mean, mean - side, mean + side, float(share @ rejected), normalized)
