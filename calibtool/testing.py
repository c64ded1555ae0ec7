"""Assertions for your own tests: `assert_calibrated(predictions, "ece <= 0.03")`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from calibtool.data.readable import Recalibrator
from calibtool.gate.baseline import read_saved
from calibtool.gate.check import check
from calibtool.gate.outcome import Outcome
from calibtool.reports.render import render


def assert_calibrated(
    predictions: Any,
    *requirements: str,
    mode: str = "tolerate",
    baseline: Any = None,
    calibrator: Recalibrator | None = None,
    inconclusive: Literal["pass", "fail"] = "fail",
    **options: Any,
) -> Outcome:
    """Assert that predictions meet requirements.

    Args:
        predictions: all that `ct.read` takes: a path, `Predictions`, a data frame and more.
        requirements: such as "ece <= 0.03", "worst(ece by class) <= 0.1".
        mode: "tolerate", "prove" or "point", as in `calibtool check`.
        baseline: what delta(...) compares with: predictions in the same forms, or the path of a
            saved report.
        calibrator: applied to the predictions before they are checked.
        inconclusive: how an inconclusive verdict (too few rows) counts.
        options: options of `ct.check`, and which column has which role, as for `ct.load`.

    Returns the outcome. Raises AssertionError with the table that `calibtool check` prints.

    >>> import calibtool as ct
    >>> p = ct.Predictions.from_probs([[0.8, 0.2], [0.2, 0.8]] * 200, [0, 1, 0, 0, 0] * 80)
    >>> assert_calibrated(p, "accuracy >= 0.4", resamples=100).decision
    'pass'
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    outcome = check(
        predictions,
        requirements,
        mode=mode,
        baseline=None if baseline is None else _baseline(baseline),
        calibrator=calibrator,
        **options,
    )
    counted = {outcome.counts_as(verdict) for verdict in outcome.verdicts}
    if "fail" in counted or ("inconclusive" in counted and inconclusive == "fail"):
        table = render(outcome, "table", width=88)
        raise AssertionError(f"not calibrated as required\n{table}")
    return outcome


def _baseline(baseline: Any) -> Any:
    """Return the report that is saved in a JSON file, or what was given."""
    if isinstance(baseline, str | Path) and Path(baseline).suffix.lower() == ".json":
        return read_saved(baseline)
    return baseline
