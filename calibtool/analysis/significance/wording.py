"""What the tests come to, in words."""

from __future__ import annotations

from calibtool.analysis.significance.result import LEVEL, TestResults
from calibtool.formatting import joined


def reading(found: TestResults) -> str:
    """A sentence or two, and no more than the numbers show."""
    n = f"n = {found.data.rows:,}"
    known = {r.name: r.p_value for r in found.results if r.p_value is not None}
    if not known:
        return f"Nothing can be tested at {n}."
    return f"{_verdict(found, known, n)} {_limit(found.detectable)}"


def _verdict(found: TestResults, known: dict[str, float], n: str) -> str:
    smallest = f"{min(known.values()):.2g}"
    if found.rejecting:
        verb = "rejects" if len(found.rejecting) == 1 else "reject"
        return (
            f"Miscalibrated: {joined(found.rejecting)} {verb} perfect calibration at {n} "
            f"(Holm's correction for {len(known)} tests at 5 %)."
        )
    if len(known) > LEVEL * (found.resamples + 1):
        return (
            f"{found.resamples} redraws are too few for {len(known)} tests: none could reject. Ask "
            f"for --resamples {round(len(known) / LEVEL)} or more."
        )
    if len(known) == 1:
        return f"{next(iter(known))} sees no miscalibration at {n} (p = {smallest})."
    return (
        f"None of {len(known)} tests sees miscalibration at {n} (the smallest p is "
        f"{smallest}; Holm's correction at 5 %)."
    )


def _limit(error: float | None) -> str:
    if error is None:
        return "No temperature distorts these scores so far that it would be found with 80 % power."
    return f"An ECE of about {error:.2g} would be found with 80 % power at this n."
