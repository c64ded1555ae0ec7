"""Monitor calibration over time, of all rows or of every slice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from calibtool.analysis.monitoring.monitor import monitor_periods, require_method
from calibtool.analysis.monitoring.period import Monitoring
from calibtool.analysis.monitoring.read import in_memory
from calibtool.analysis.monitoring.slices import SliceMonitoring, monitor_slices
from calibtool.data.slicing import names_in
from calibtool.errors import InputError
from calibtool.evaluation.resampling import Resampling
from calibtool.streaming.read import read_named
from calibtool.types import Progress


@overload
def monitor(periods: Mapping[str, Any], *, by: None = None, **options: Any) -> Monitoring: ...
@overload
def monitor(periods: Mapping[str, Any], *, by: str, **options: Any) -> SliceMonitoring: ...
def monitor(
    periods: Mapping[str, Any],
    *,
    by: str | None = None,
    against: str = "first",
    alpha: float = 0.05,
    view: str = "auto",
    bins: int = 15,
    ci: str = "inverted",
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
    **keys: Any,
) -> Monitoring | SliceMonitoring:
    """Measure calibration over time, and test whether it has changed.

    The e-value is the evidence so far against the hypothesis that the calibration curve is the same
    in all periods (with `against="calibrated"`: that the scores are calibrated). If the hypothesis
    is true, the probability that the e-value ever reaches 1 / alpha is at most alpha, for any
    number of periods (Ville 1939). The test can therefore be checked after every period. The
    distribution of the scores in each period does not matter. Rows must be independent given their
    scores.

    Args:
        periods: predictions by the name of their period, in order of time: each all that `ct.read`
            takes, such as a path, `Predictions`, a data frame or a summary (`ct.cells`).
        by: columns, such as "country" or "country,device", whose values divide the rows into
            slices. Each is monitored by itself; `alpha` is that of all slices together.
        against: null hypothesis, "first" or "calibrated".
        alpha: largest probability of ever raising a false alarm, in (0, 1).
        view: "top", "positive" (two classes), or "auto": positive for one column, top otherwise.
        bins: number of equal-width bins of the ECE.
        ci: "inverted" or "none": intervals of the ECE and bias of each period. They are not part of
            the test.
        resamples, level, seed: options of those intervals.
        progress: called with the name of the step and the share of it that is done.
        keys: which column has which role, as for `ct.load`.

    Raises:
        InputError: there are no periods or no labels, rows are weighted, or periods differ in kind.
        UsageError: an option is out of range, or a column of `by` cannot divide rows.

    Returns a `Monitoring`, with `by` a `SliceMonitoring`.

    >>> from calibtool.data.predictions import Predictions
    >>> sure = Predictions.from_probs([0.9] * 100, [1] * 90 + [0] * 10)
    >>> less = Predictions.from_probs([0.9] * 100, [1] * 60 + [0] * 40)
    >>> report = monitor({"monday": sure, "tuesday": sure, "wednesday": less}, ci="none")
    >>> [report.alarmed, round(report.periods[2].was, 6)]
    [2, 0.6]
    """
    require_method(ci)
    data = read_named(periods, **keys)
    if not data:
        raise InputError("there are no periods; nothing can be monitored")
    slices = in_memory(data, view, bins, names_in(by, "by") if by is not None else ())
    how: dict[str, Any] = {
        "against": against,
        "alpha": alpha,
        "bins": bins,
        "resampling": Resampling(ci, resamples, level, seed),
        "progress": progress,
    }
    if by is not None:
        return monitor_slices(slices, by, **how)
    return monitor_periods(slices[""], **how)
