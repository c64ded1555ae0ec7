"""For a user's own tests: `assert_calibrated(predictions, "ece <= 0.03")`."""

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
    """Assert that predictions keep to requirements.

    Args:
        predictions: in memory, or the path of a file.
        requirements: such as "ece <= 0.03", "worst(ece by class) <= 0.1".
        mode: tolerate, prove or point, as of `calibtool check`.
        baseline: what delta(...) compares with: predictions, or the path of such a file or of a
            saved report.
        calibrator: hold what it makes of the predictions to the requirements.
        inconclusive: what a verdict of too few rows counts as.
        options: of `calibtool.evaluate`.

    Returns the outcome. Raises AssertionError with the table that `calibtool check` prints.

    >>> import calibtool as ct
    >>> p = ct.Predictions.from_probs([[0.8, 0.2], [0.2, 0.8]] * 200, [0, 1, 0, 0, 0] * 80)
    >>> assert_calibrated(p, "accuracy >= 0.4", resamples=100).decision
    'pass'
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    found = check(
        _opened(predictions),
        requirements,
        mode=mode,
        baseline=None if baseline is None else _baseline(baseline),
        calibrator=calibrator,
        **options,
    )
    counted = {found.counts_as(verdict) for verdict in found.verdicts}
    if "fail" in counted or ("inconclusive" in counted and inconclusive == "fail"):
        table = render(found, "table", width=88)
        raise AssertionError(f"not calibrated as required\n{table}")
    return found


def _opened(predictions: Readable | str | Path) -> Readable:
    return open_source(predictions) if isinstance(predictions, str | Path) else predictions


def _baseline(baseline: Readable | Saved | str | Path) -> Readable | Saved:
    if isinstance(baseline, str | Path) and Path(baseline).suffix.lower() == ".json":
        return read_saved(baseline)
    return baseline if isinstance(baseline, Saved) else _opened(baseline)
