"""The results of the significance tests in words."""

from __future__ import annotations

from calibtool.analysis.significance.result import LEVEL, TestResults
from calibtool.formatting import counted, joined


def reading(results: TestResults) -> str:
    """Return one or two sentences that claim no more than the p-values show."""
    n = f"n = {results.data.rows:,}"
    p_values = {r.name: r.p_value for r in results.results if r.p_value is not None}
    if not p_values:
        return f"Nothing can be tested at {n}."
    return f"{_verdict(results, p_values, n)} {_limit(results.detectable)}"


def _verdict(results: TestResults, p_values: dict[str, float], n: str) -> str:
    """Return which tests reject perfect calibration, or that none does."""
    smallest = f"{min(p_values.values()):.2g}"
    if results.rejecting:
        verb = "rejects" if len(results.rejecting) == 1 else "reject"
        return (
            f"Miscalibrated: {joined(results.rejecting)} {verb} perfect calibration at {n} "
            f"(Holm's correction for {counted(len(p_values), 'test')} at 5 %)."
        )
    # Holm multiplies the smallest possible p-value, 1 / (redraws + 1), by the number of tests
    if len(p_values) > LEVEL * (results.resamples + 1):
        return (
            f"{results.resamples} redraws are too few for {counted(len(p_values), 'test')}: none "
            f"could reject. Ask for --resamples {round(len(p_values) / LEVEL)} or more."
        )
    if len(p_values) == 1:
        return f"{next(iter(p_values))} sees no miscalibration at {n} (p = {smallest})."
    return (
        f"None of {len(p_values)} tests sees miscalibration at {n} (the smallest p is "
        f"{smallest}; Holm's correction at 5 %)."
    )


def _limit(error: float | None) -> str:
    """Return the sentence on the error that these rows would detect."""
    if error is None:
        return "No temperature distorts these scores so far that it would be found with 80 % power."
    return f"An ECE of about {error:.2g} would be found with 80 % power at this n."
