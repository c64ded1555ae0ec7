"""Choose a threshold: the one that accepts most rows and keeps a promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.confidences import fingerprint_of
from calibtool.calibrators.groups import columns_by
from calibtool.data.predictions import DataInfo, Predictions
from calibtool.decisions.calibrated_rows import calibrated
from calibtool.decisions.costs import Costs
from calibtool.decisions.losses import Losses, decided, losses_of
from calibtool.decisions.point import Point, Search
from calibtool.decisions.target import Target, parse_target
from calibtool.decisions.threshold import PREDICTED, Threshold, groups_of
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.resampling import require_seed
from calibtool.streaming.read import read as read_data
from calibtool.types import Array


def choose_threshold(
    data: Any,
    *,
    target: str | Target,
    delta: float = 0.05,
    by: str | None = None,
    calibrator: Calibrator | None = None,
    cross_fit: bool = False,
    costs: Costs | None = None,
    seed: int = 0,
    **keys: Any,
) -> Threshold:
    """Choose the threshold that accepts most rows and keeps a promise.

    With a probability of at least 1 - delta over the rows that choose it, the true risk of what is
    accepted is at most the target: a fixed sequence of exact binomial tests (Angelopoulos et al.
    2021), or of bets where rows have weights or losses are costs.

    Args:
        data: labelled predictions, all that `ct.read` takes.
        target: such as "accuracy >= 0.95", "risk <= 5 %", "cost <= 0.3"; of two classes,
            "precision >= 0.9", "recall >= 0.9", "npv >= 0.99".
        delta: how often the promise may be broken.
        by: a column, or several with commas between: one threshold per value. "predicted" stands
            for the predicted class. The promise is for all groups together.
        calibrator: calibrate the predictions first; fitted on other rows.
        cross_fit: choose on rows that are calibrated by fits of the same method which did not see
            them, so that the calibrator may have been fitted on these rows.
        costs: of a target that is a cost.
        seed: of the order in which rows with equal scores are tested.
        keys: which column has which role, as for `ct.load`.

    Returns the thresholds; where none keeps the promise, `found` is false and the result says why.

    Raises UsageError for a target that cannot be, delta outside (0, 1), or a calibrator that was
    fitted on these rows; NotAvailableError where there are no labels.

    >>> p = Predictions.from_confidence([0.9] * 59 + [0.6] * 10, [1] * 64 + [0] * 5)
    >>> chosen = choose_threshold(p, target="risk <= 5 %")
    >>> chosen.threshold, choose_threshold(p, target="risk <= 1 %").found
    (0.6002, False)
    """
    goal = parse_target(target) if isinstance(target, str) else target
    if not 0 < delta < 1:
        raise UsageError(f"--delta must lie between 0 and 1, both excluded (got {delta:g})")
    require_seed(seed)
    columns = tuple(columns_by(by))
    source = read_data(data, **keys)
    wanted = [*(calibrator.columns if calibrator else ()), *columns]
    if hasattr(source, "also"):
        source = source.also([name for name in wanted if name != PREDICTED])
    question = getattr(getattr(source, "choice", None), "question", None) or ""
    before, after, notes = choosing(source.load(), calibrator, cross_fit=cross_fit)
    every = losses_of(after, goal, costs)
    if goal.name == "cost" and not 0 < goal.limit < every.unit:
        raise UsageError(
            f"target {goal.text!r}: must lie between 0 and the largest cost, {every.unit:g}, both "
            "excluded"
        )
    names = groups_of(after, columns, decided(after).predicted)
    return Threshold(
        goal,
        delta,
        _points(every, goal, names, delta, seed),
        DataInfo.of(before),
        columns,
        before.class_names,
        question,
        calibrator,
        costs if goal.name == "cost" else None,
        fingerprint_of(before),
        tuple(notes),
    )


def _points(
    every: Losses, target: Target, names: Array, delta: float, seed: int
) -> tuple[Point, ...]:
    """Return the threshold of each group."""
    groups = sorted(set(names.tolist()))
    part = delta / len(groups)
    searches = {name: Search.of(every.take(names == name), target, part, seed) for name in groups}
    shared = levels(searches, delta)
    return tuple(searches[name].point(name, shared[name]) for name in groups)


def levels(searches: Mapping[str, Search], delta: float) -> dict[str, float]:
    """Return the part of delta of each group (Holm 1979; Bretz et al. 2009).

    All groups have the same part. One whose tests all pass, so that all its rows are accepted,
    passes its part on to the others.
    """
    parts: dict[str, float] = {}
    left = list(searches)
    while left:
        parts |= dict.fromkeys(left, delta / len(left))
        done = [name for name in left if searches[name].unbroken(parts[name])]
        if not done:
            break
        left = [name for name in left if name not in done]
    return parts


def choosing(
    predictions: Predictions, calibrator: Calibrator | None, *, cross_fit: bool
) -> tuple[Predictions, Predictions, list[str]]:
    """Return the rows that weigh something, the same after a calibrator that has not seen them, and
    notes on it. Raises InputError if no row weighs anything, UsageError for a calibrator that was
    fitted on these rows."""
    before = weighing(predictions)
    after, notes = calibrated(before, calibrator, cross_fit=cross_fit)
    return before, after, notes


def weighing(predictions: Predictions) -> Predictions:
    """Return the rows that weigh something. Raises InputError if there are none."""
    weights = predictions.weights
    if weights is None:
        return predictions
    if not weights.any():
        raise InputError(f"{predictions.source}: the rows all have a weight of 0")
    return predictions.take(weights > 0)
