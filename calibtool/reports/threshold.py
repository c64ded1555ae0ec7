"""The table of a threshold: what it accepts, what is handed to a person, and the promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calibtool.decisions.point import Point, Share
from calibtool.decisions.promise import NOT_PROMISED, corrected, lacking, line_text, promise, rule
from calibtool.decisions.threshold import SEPARATOR, Threshold
from calibtool.formatting import DEFAULT_LEVEL, interval, number, percent, share
from calibtool.reports.table import Note, Table, Tone

MOST_NAMED = 5  # groups without a threshold whose reasons are told; --format json has all
FIELDS = (
    *("group", "threshold", "rows", "accepted", "coverage", "value", "low", "high"),
    *("handed_over", "value_of_the_rest", "level", "best", "needed"),
)


def table(threshold: Threshold, width: int | None) -> Table:
    """Return a row per group; the JSON document is the threshold's file, or why there is none."""
    grouped = bool(threshold.by)
    name = threshold.target.name
    titles = [
        *([SEPARATOR.join(threshold.by)] if grouped else []),
        *("threshold", "coverage", name, f"{percent(DEFAULT_LEVEL)} interval"),
        *("to a person", "theirs"),
    ]
    if name == "recall":
        del titles[-1]
    return Table(
        kind="calibtool-threshold",
        head=_head(threshold),
        titles=titles,
        cells=[_cells(threshold, point) for point in threshold.points],
        records=[_record(point) for point in threshold.points],
        key="",
        notes=[*_notes(threshold), *threshold.notes],
        body=_body(threshold),
        tones=_tones(threshold.points),
        columns=FIELDS,
        left=(titles[0],) if grouped else (),
        wraps=(titles[0],) if grouped else (),
    )


def _head(threshold: Threshold) -> str:
    after = f", after {threshold.calibrator.describe()}" if threshold.calibrator else ""
    return f"{threshold.data.describe()}{after}"


def _cells(threshold: Threshold, point: Point) -> list[str]:
    taken, rest = point.accepted, point.rest
    name = [point.group] if threshold.by else []
    line = "none" if point.threshold is None else line_text(point.threshold)
    numbers = [number(taken.value, 3), interval(taken.low, taken.high, digits=3)]
    handed = [f"{rest.rows:,}"]
    if threshold.target.name != "recall":
        handed.append(number(rest.value, 3))
    return [*name, line, share(taken.share), *numbers, *handed]


def _notes(threshold: Threshold) -> list[Note]:
    target, points = threshold.target, threshold.points
    missing = [point for point in points if point.threshold is None]
    told = []
    for point in missing[:MOST_NAMED]:
        where = f"{SEPARATOR.join(threshold.by)} = {point.group}" if threshold.by else ""
        text = threshold.named(" ".join(lacking(point, target, where)))
        told.append(Note(text, "warning"))
    if len(missing) > MOST_NAMED:
        more = len(missing) - MOST_NAMED
        told.append(Note(f"{more:,} more groups have no threshold; --format json says why."))
    if not threshold.found:
        return told
    if missing:
        told.append(Note("Of groups without a threshold, no row is accepted.", "quiet"))
    shared = corrected(len(points))
    promised = promise(target, threshold.delta, threshold.data.rows, len(points))
    return [
        Note(threshold.named(f"Accepted: {rule(target)}.")),
        Note(threshold.named(promised), "good"),
        *([Note(shared, "quiet")] if shared else []),
        Note(NOT_PROMISED, "quiet"),
        *told,
    ]


def _tones(points: Sequence[Point]) -> dict[tuple[int, int | None], Tone]:
    return {(row, None): "unclear" for row, p in enumerate(points) if p.threshold is None}


def _record(point: Point) -> dict[str, Any]:
    taken, rest, why = point.accepted, point.rest, point.lacking
    return {
        "group": point.group,
        "threshold": point.threshold,
        "rows": point.rows,
        "accepted": taken.rows,
        "coverage": taken.share,
        **_measured(taken),
        "handed_over": rest.rows,
        "value_of_the_rest": rest.value,
        "level": point.level,
        "best": why.best if why else None,
        "needed": why.needed if why else None,
    }


def _measured(taken: Share) -> dict[str, float | None]:
    return {"value": taken.value, "low": taken.low, "high": taken.high}


def _body(threshold: Threshold) -> dict[str, Any]:
    document = threshold.document()
    why = [
        sentence
        for point in threshold.points
        if point.threshold is None
        for sentence in lacking(point, threshold.target, point.group)
    ]
    return document | ({"why": why} if why else {})
