"""Baseline: a saved report to compare with, from `calibtool evaluate --format json -o main.json`.

It holds no rows, so the comparison is unpaired: the noise of both counts in full.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from calibtool.errors import InputError, UsageError
from calibtool.intervals import difference
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.inversion import Inverted
from calibtool.metrics.resolve import written_out
from calibtool.metrics.spec import parse

VERSIONS = (1, 2)  # versions of the report format that can be read


@dataclass(frozen=True)
class Saved:
    """A saved report.

    Attributes:
        path: path of the file.
        level: level of its intervals; None without intervals.
        rows: number of rows that were measured.
        estimates: estimates by metric; those after the calibrator, if the report has one.
        digest: of the scores and outcomes that were measured, or "".
    """

    path: str
    level: float | None
    rows: int
    estimates: dict[str, Estimate]
    digest: str = ""

    def find(self, now: Estimate) -> Estimate | None:
        """Return the estimate of the same metric in the same view, whether or not its name says
        the view; else the one of that name, or None."""
        same = (e for e in self.estimates.values() if now.signature and _metric(e) == _metric(now))
        return next(same, self.estimates.get(now.name))


def read_saved(path: str | Path) -> Saved:
    """Read a report from its JSON file. Raises InputError for anything else."""
    where = str(path)
    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON: {error}") from error
    kind = body.get("format") if isinstance(body, dict) else None
    if kind != "calibtool-report":
        raise InputError(
            f"{where}: not a saved report (its format is {kind!r}); write one with "
            "calibtool evaluate FILE --format json -o main.json"
        )
    if body.get("version") not in VERSIONS:
        raise InputError(
            f"{where}: a report of version {body.get('version')!r}; this calibtool reads "
            f"{', '.join(map(str, VERSIONS))}"
        )
    try:
        estimates = [_estimate(entry.get("after") or entry) for entry in body["metrics"]]
        level, rows = body["level"], int(body["data"]["rows"])
        level = None if level is None else float(level)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: the report is incomplete or damaged: {error!r}") from error
    by_name = {estimate.name: estimate for estimate in estimates}
    return Saved(where, level, rows, by_name, str(body.get("digest") or ""))


def _estimate(entry: dict[str, Any]) -> Estimate:
    """Return the estimate of a JSON object; keys that this version does not know are left out."""
    known = {field.name for field in fields(Estimate)}
    values = {key: value for key, value in entry.items() if key in known}
    if "unbiased" in entry:  # the name in version 1, which left it out of metrics without bias
        values["corrected"] = entry["value"] if entry["unbiased"] is None else entry["unbiased"]
    numbers = ("value", "low", "high", "corrected", "p_value", "error", "ideal", "least", "most")
    for key in numbers:
        if values.get(key) is not None:
            values[key] = float(values[key])  # JSON has no infinity: it is written as "inf"
    return Estimate(str(values.pop("name")), values.pop("value"), **values)


def delta(saved: Saved, now: Estimate, level: float | None, digest: str = "") -> Estimate:
    """Return now minus then, of independent rows: MOVER (Zou & Donner 2008) on the two intervals.

    Brier scores of different scales have no difference, and it says why. Where the digest of the
    scores and outcomes and the value of the metric are those of the report, it is of the same
    predictions, and the difference is exactly 0.

    Raises InputError where the report lacks the metric, or has it in another view or at another
    level.
    """
    then = saved.find(now)
    if then is None:
        raise InputError(
            f"{saved.path}: has no {now.name}, only {', '.join(saved.estimates)}; save it with "
            f"calibtool evaluate FILE --metrics {_written_out(now)!r} --format json "
            f"-o {saved.path}"
        )
    if then.view != now.view:
        raise InputError(
            f"{saved.path}: its {now.name} looks at the view {then.view!r}, this one at "
            f"{now.view!r}; they are different numbers"
        )
    bare = Estimate(now.name, None, view=now.view, better=now.better)
    bare = replace(bare, signature=f"{now.signature}|minus:saved")
    if _scale(then) != _scale(now):
        why = (
            f"{saved.path}: its {then.name} has the scale {_scale(then)!r}, this one "
            f"{_scale(now)!r}; they are different numbers: save the report again"
        )
        return replace(bare, missing=why)
    if then.value is None or now.value is None:
        return replace(bare, missing=then.missing or now.missing)
    if digest and digest == saved.digest and now.value == then.value:
        whole = replace(bare, value=0.0, corrected=0.0, error=0.0)
        return whole if level is None else replace(whole, low=0.0, high=0.0)
    if level is None or then.low is None or then.high is None or now.low is None:
        return replace(bare, value=now.value - then.value)
    if saved.level is None or not math.isclose(saved.level, level):
        raise UsageError(
            f"{saved.path}: its intervals are at level {saved.level}, this check's at {level:g}; "
            f"give --level {saved.level}, or save the report again"
        )
    low, high = _difference(then, now, level)
    assert now.corrected is not None
    assert then.corrected is not None
    error = math.hypot(then.error, now.error) if then.error and now.error else None
    value, corrected = now.value - then.value, now.corrected - then.corrected
    return replace(bare, value=value, low=low, high=high, corrected=corrected, error=error)


def _written_out(estimate: Estimate) -> str:
    """Return the name of a metric with its view."""
    return written_out(replace(parse(estimate.name), view=estimate.view)).name


def _metric(estimate: Estimate) -> str:
    """Return the metric's part of a signature, without the interval, the draws and the rows."""
    return re.split(r"\|(?:ci|n):", estimate.signature)[0]


def _scale(estimate: Estimate) -> str:
    """Return the scale of a Brier score, and "" for other metrics.

    Reports that do not say it are from the time when it was the sum over classes.
    """
    if not re.match(r"brier\b(?!-)", estimate.name):
        return ""
    written = re.search(r"\|scale:(\w+)", estimate.signature)
    return written[1] if written else "sum"


def _difference(then: Estimate, now: Estimate, level: float) -> tuple[float, float]:
    """Return the ends of the difference's interval.

    MOVER adds the squared distances of the ends from the estimates: low is the difference minus the
    root of (now - its low)**2 + (then's high - then)**2, and high likewise (Zou & Donner 2008).
    """
    a, b = _inverted(then), _inverted(now)
    if a is not None and b is not None:
        return difference.difference(a, b, 0.0, level)
    assert then.corrected is not None
    assert then.low is not None
    assert then.high is not None
    assert now.corrected is not None
    assert now.low is not None
    assert now.high is not None
    corrected = now.corrected - then.corrected
    low = corrected - math.hypot(now.corrected - now.low, then.high - then.corrected)
    return low, corrected + math.hypot(now.high - now.corrected, then.corrected - then.low)


def _inverted(estimate: Estimate) -> Inverted | None:
    """Return a calibration error's interval as `intervals.difference` takes it; None for other
    metrics."""
    if estimate.corrected is None or estimate.p_value is None:
        return None
    assert estimate.low is not None
    assert estimate.high is not None
    return Inverted(estimate.low, estimate.high, estimate.corrected, estimate.p_value)
