"""Baseline: a saved report to compare with, from `calibtool evaluate --format json -o main.json`.

It holds no rows, so the comparison is unpaired: the noise of both counts in full.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calibtool.data.files.document import Document, Entry
from calibtool.errors import InputError, UsageError
from calibtool.intervals import difference
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.inversion import Inverted
from calibtool.metrics.resolve import written_out
from calibtool.metrics.spec import parse

VERSIONS = (1, 2)  # versions of the report format that can be read
_LARGEST = 1 << 26  # bytes: a report of every metric and 1,000 classes has less than one of 64 MB
_TEXTS = ("view", "better", "missing", "signature")  # fields of an estimate, beside its name
_ANY = (-math.inf, math.inf)
# its numbers, and the least and the most that each can be
_NUMBERS = {
    **dict.fromkeys(("value", "corrected", "low", "high", "ideal", "least", "most"), _ANY),
    "p_value": (0.0, 1.0),
    "error": (0.0, math.inf),
}


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
    document = Document(
        str(path),
        "a saved report",
        "write one with calibtool evaluate FILE --format json -o main.json",
    )
    body = document.read_json(_LARGEST)
    body["format"].text(("calibtool-report",))
    version = body["version"].whole()
    if version not in VERSIONS:
        raise InputError(
            f"{path}: a report of version {version}; this calibtool reads "
            f"{', '.join(map(str, VERSIONS))}"
        )
    estimates = [_estimate(entry.get("after") or entry) for entry in body["metrics"].items()]
    by_name = {estimate.name: estimate for estimate in estimates}
    level, digest = body.get("level"), body.get("digest")
    return Saved(
        str(path),
        None if level is None else level.number(0, 1, inside=True),
        body["data"]["rows"].whole(),
        by_name,
        digest.text() if digest else "",
    )


def _estimate(entry: Entry) -> Estimate:
    """Return the estimate of a JSON object; keys that this version does not know are left out."""
    texts = {key: text.text() for key in _TEXTS if (text := entry.get(key))}
    numbers = {key: _number(entry.get(key), *ends) for key, ends in _NUMBERS.items()}
    if "unbiased" in entry.value:  # the name in version 1, which only metrics with bias had
        unbiased = _number(entry.get("unbiased"), *_ANY)
        numbers["corrected"] = numbers["value"] if unbiased is None else unbiased
    held = [key for key in ("low", "corrected", "high") if numbers[key] is not None]
    if "low" in held or "high" in held:  # an interval, with the estimate that lies in it
        low, _, high = (_end(entry, numbers, key) for key in ("low", "corrected", "high"))
        if low > high:
            entry["low"].fail(f"at most the upper end of the interval, {high}")
    if numbers["value"] is None:
        texts.setdefault("missing", "not a number")
    known: dict[str, Any] = {**texts, **numbers}
    for key in ("least", "most"):
        if known[key] is None:
            del known[key]
    return Estimate(entry["name"].text(), known.pop("value"), **known)


def _end(entry: Entry, numbers: dict[str, float | None], key: str) -> float:
    value = numbers[key]
    if value is None:
        entry.refuse(f"has an interval, and no number as {key!r}")
    return value


def _number(entry: Entry | None, least: float, most: float) -> float | None:
    """Return a number, infinity or, for what is not there or not a number, None.

    JSON has neither infinity nor NaN: reports write them as texts.
    """
    if entry is None or entry.value == "nan":
        return None
    if entry.value in ("inf", "-inf") and least <= float(entry.value) <= most:
        return float(entry.value)
    return entry.number(least, most)


def require(saved: Saved, now: Estimate) -> Estimate:
    """Return the estimate of a report to compare `now` with.

    Raises InputError where the report lacks the metric, has no value of it, or has it in another
    view.
    """
    then = _same_view(saved, now)
    if then.value is None:
        raise InputError(
            f"{saved.path}: the baseline has no value of {then.name} ({then.missing}); "
            f"{_again(saved, now)}"
        )
    return then


def _same_view(saved: Saved, now: Estimate) -> Estimate:
    then = saved.find(now)
    if then is None:
        raise InputError(
            f"{saved.path}: the baseline has no {now.name}, only {', '.join(saved.estimates)}; "
            f"{_again(saved, now)}"
        )
    if then.view != now.view:
        raise InputError(
            f"{saved.path}: its {now.name} looks at the view {then.view!r}, this one at "
            f"{now.view!r}; they are different numbers"
        )
    return then


def _again(saved: Saved, now: Estimate) -> str:
    """Return how to save the report again, with a metric."""
    return (
        f"save it with calibtool evaluate FILE --metrics {_written_out(now)!r} --format json "
        f"-o {saved.path}"
    )


def delta(saved: Saved, now: Estimate, level: float | None, digest: str = "") -> Estimate:
    """Return now minus then, of independent rows: MOVER (Zou & Donner 2008) on the two intervals.

    Brier scores of different scales have no difference, and it says why. Where the digest of the
    scores and outcomes and the value of the metric are those of the report, it is of the same
    predictions, and the difference is exactly 0.

    Raises InputError where the report lacks the metric, or has it in another view or at another
    level.
    """
    then = _same_view(saved, now)
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
    value = now.value - then.value
    if math.isnan(value):
        return replace(bare, missing=f"it is {now.value:g} here and in {saved.path}")
    if level is None or then.low is None or then.high is None or now.low is None:
        return replace(bare, value=value)
    if saved.level is None or not math.isclose(saved.level, level):
        raise UsageError(
            f"{saved.path}: its intervals are at level {saved.level}, this check's at {level:g}; "
            f"give --level {saved.level}, or save the report again"
        )
    low, high = _difference(then, now, level)
    assert now.corrected is not None
    assert then.corrected is not None
    corrected = now.corrected - then.corrected
    if math.isnan(low + high + corrected):  # of infinite ends
        return replace(bare, value=value)
    error = math.hypot(then.error, now.error) if then.error and now.error else None
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
