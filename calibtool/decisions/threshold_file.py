"""Threshold files: versioned JSON. Loading one reads data and runs no code."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibtool.calibrators.fit import calibrator_in
from calibtool.data.files.document import Entry, require_format
from calibtool.data.files.write import write_text
from calibtool.data.predictions import KIND_NAMES, DataInfo, Kind
from calibtool.decisions.costs import costs_in, document_of_costs
from calibtool.decisions.point import Lacking, Point, Share
from calibtool.decisions.promise import promise, rule
from calibtool.decisions.target import Target, parse_target
from calibtool.errors import UsageError
from calibtool.version import __version__

FORMAT = "calibtool-threshold"
VERSION = 1
WHAT = "a threshold file"
_MOST_CLASSES = 1 << 24  # of a file of predictions, as in `calibtool.data.files.source`


def save(threshold: Any, path: str | Path) -> None:
    """Write a threshold file atomically; floats keep every bit."""
    text = json.dumps(document_of(threshold), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def document_of(threshold: Any) -> dict[str, Any]:
    """Return the content of a threshold's file. Its key `threshold` is what decides."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "target": threshold.target.text,
        "delta": threshold.delta,
        "threshold": threshold.threshold,
        "accepts": threshold.named(rule(threshold.target)),
        "promise": threshold.named(
            promise(threshold.target, threshold.delta, threshold.data.rows, len(threshold.points))
        ),
        "by": list(threshold.by),
        "classes": threshold.classes,
        "class_names": list(threshold.class_names) if threshold.class_names else None,
        "question": threshold.question or None,
        "points": [_point(point) for point in threshold.points],
        "costs": None if threshold.costs is None else document_of_costs(threshold.costs),
        "calibrator": None if threshold.calibrator is None else threshold.calibrator.document(),
        "chosen": {
            **asdict(threshold.data),
            "fingerprint": threshold.fingerprint,
            "notes": list(threshold.notes),
            "calibtool": __version__,
        },
    }


def _point(point: Point) -> dict[str, Any]:
    document = asdict(point)
    del document["threshold"]  # stands in the key of that name
    return document


def load(content: Entry, make: Callable[..., Any]) -> Any:
    """Return the threshold of a document.

    Args:
        content: of a threshold file.
        make: the class of thresholds.

    Raises InputError for anything but a whole threshold of a known version.
    """
    require_format(content, FORMAT, VERSION)
    target = _target(content["target"])
    delta = content["delta"].number(0, 1, inside=True)
    by = content["by"].texts()
    classes = content.get("classes")
    width = None if classes is None else classes.whole(2, _MOST_CLASSES)
    if target.subject.accepts != "confident" and width != 2:
        content["classes"].fail(f"2, since {target.name} is about class 1 of two classes")
    names = content.get("class_names")
    points = _points(content, target, by)
    calibrator = content.get("calibrator")
    costs = content.get("costs")
    chosen = content["chosen"]
    question = content.get("question")
    return make(
        target,
        delta,
        points,
        _data(chosen, width),
        by,
        tuple(name.text() for name in names.items(width)) if names else None,
        question.text() if question else "",
        None if calibrator is None else calibrator_in(calibrator),
        None if costs is None else costs_in(costs, content.document.file),
        chosen["fingerprint"].text(),
        chosen["notes"].texts(),
    )


def _target(entry: Entry) -> Target:
    try:
        return parse_target(entry.text())
    except UsageError as error:
        entry.refuse(f"is no target: {error}")


def _points(content: Entry, target: Target, by: tuple[str, ...]) -> tuple[Point, ...]:
    """Return the points, with the thresholds of the key `threshold`."""
    entry = content["threshold"]
    named = entry.entries() if by else {"": entry}
    lines = {
        group: None if line.value is None else line.number(0.0, 1.0)
        for group, line in named.items()
    }
    if not any(line is not None for line in lines.values()):
        entry.fail("a number, or an object with one of at least one group")
    points = {}
    for item in content["points"].items():
        group = item["group"].text()
        if group not in lines or group in points:
            item["group"].fail(f"the name of each group of {entry.keys} once")
        points[group] = Point(
            group,
            lines[group],
            item["level"].number(0, 1),
            _share(item["accepted"]),
            _share(item["rest"]),
            None if item.get("lacking") is None else _lacking(item["lacking"]),
        )
    lacking = [group for group in lines if group not in points]
    if lacking:
        entry.refuse(f"has a group {lacking[0]!r} that `points` lacks")
    return tuple(points.values())


def _share(entry: Entry) -> Share:
    value, low, high = (_known(entry, key, -math.inf) for key in ("value", "low", "high"))
    return Share(entry["rows"].whole(), entry["share"].number(0, 1), value, low, high)


def _lacking(entry: Entry) -> Lacking:
    needed = entry.get("needed")
    return Lacking(
        entry["fewest"].whole(),
        entry["rows"].whole(),
        _known(entry, "best", 0),
        _known(entry, "at", 0),
        None if needed is None else needed.whole(),
    )


def _known(entry: Entry, key: str, least: float) -> float | None:
    found = entry.get(key)
    return None if found is None else found.number(least, math.inf)


def _data(chosen: Entry, classes: int | None) -> DataInfo:
    kind: Kind = chosen["kind"].text(KIND_NAMES)  # type: ignore[assignment]
    return DataInfo(
        chosen["source"].text(),
        chosen["rows"].whole(1),
        classes,
        kind,
        chosen["weighted"].flag(),
        chosen["filter"].text(),
    )
