"""Assertions for your own tests: `assert_calibrated(predictions, "ece <= 0.03")`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from calibtool.data.files.open import open_source
from calibtool.data.readable import Readable, Recalibrator
from calibtool.gate.baseline import Saved, read_saved
from calibtool.gate.check import check
from calibtool.gate.outcome import Outcome
from calibtool.reports.render import render


def assert_calibrated(
    predictions: Readable | str | Path,
    *requirements: str,
    mode: str = "tolerate",
    baseline: Readable | Saved | str | Path | None = None,
    calibrator: Recalibrator | None = None,
    inconclusive: Literal["pass", "fail"] = "fail",
    **options: Any,
) -> Outcome:
    """Assert that predictions meet requirements.

    Args:
        predictions: in memory, or the path of a file.
        requirements: such as "ece <= 0.03", "worst(ece by class) <= 0.1".
        mode: "tolerate", "prove" or "point", as in `calibtool check`.
        baseline: what delta(...) compares with: predictions, or the path of a file of predictions
            or of a saved report.
        calibrator: applied to the predictions before they are checked.
        inconclusive: how an inconclusive verdict (too few rows) counts.
        options: options of `calibtool.evaluate`.

    Returns the outcome. Raises AssertionError with the table that `calibtool check` prints.

    >>> import calibtool as ct
    >>> p = ct.Predictions.from_probs([[0.8, 0.2], [0.2, 0.8]] * 200, [0, 1, 0, 0, 0] * 80)
    >>> assert_calibrated(p, "accuracy >= 0.4", resamples=100).decision
    'pass'
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    outcome = check(
        _opened(predictions),
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


def _opened(predictions: Readable | str | Path) -> Readable:
    """Return predictions, or a source of the file at a path."""
    return open_source(predictions) if isinstance(predictions, str | Path) else predictions


def _baseline(baseline: Readable | Saved | str | Path) -> Readable | Saved:
    """Return predictions, a source, or the report saved in a JSON file."""
    if isinstance(baseline, str | Path) and Path(baseline).suffix.lower() == ".json":
        return read_saved(baseline)
    return baseline if isinstance(baseline, Saved) else _opened(baseline)
