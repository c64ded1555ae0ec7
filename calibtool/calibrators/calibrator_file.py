"""Calibrator files: versioned JSON. Loading one reads data and runs no code."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.maps import shares_from
from calibtool.calibrators.nested_maps import from_document, require_uniform, since, to_document
from calibtool.data.files.document import Entry, require_format
from calibtool.data.files.write import write_text
from calibtool.version import __version__

FORMAT = "calibtool-calibrator"
# history: 1, the first; 2, calibrators of confidences, which have no classes; 3, a share of the
# uniform distribution in affine maps
VERSION = 3
UNIFORM = 3  # the version from which on every affine map that is written has that share
CONFIDENCE = "confidence"  # the `kind` of a calibrator of confidences; others have none
_NUMBERS = re.compile(r"\[[^\[\]{}\"]*\]")  # a JSON list of numbers only


def save(calibrator: Any, path: str | Path) -> None:
    """Write a calibrator file atomically; floats keep every bit."""
    write_text(path, compact(document_of(calibrator)) + "\n")


def document_of(calibrator: Any) -> dict[str, Any]:
    """Return the content of a calibrator's file."""
    return {
        "format": FORMAT,
        # the first version that can say it, which older versions of calibtool read
        "version": max(since(calibrator.map), 1 if calibrator.classes else 2),
        "method": calibrator.method,
        **({} if calibrator.classes else {"kind": CONFIDENCE}),
        "classes": calibrator.classes,
        "class_names": list(calibrator.class_names) if calibrator.class_names else None,
        **to_document(calibrator.map),
        "fitted": asdict(calibrator.fitted) | {"calibtool": __version__},
    }


def load(content: Entry, make: Callable[..., Any], methods: Collection[str]) -> Any:
    """Return the calibrator of a document.

    Args:
        content: of a calibrator file, or an entry of another file that holds one.
        make: the class of calibrators.
        methods: names in the registry.

    Raises InputError for anything but a whole calibrator of a known version.
    """
    version = require_format(content, FORMAT, VERSION)
    method = content["method"].text(methods)
    classes = _classes(content, version)
    # the map of a calibrator of confidences is that of the two classes wrong and right
    width = classes or 2
    names = content.get("class_names")
    fitted_map = from_document(content, width)
    if version >= UNIFORM:
        require_uniform(content)
    _require_rising(content["parameters"], _RISING.get(method, ()))
    return make(
        method,
        fitted_map,
        classes,
        names and tuple(name.text() for name in names.items(width)),
        _record(content["fitted"], width) if "fitted" in content.value else FitRecord(),
    )


def _require_rising(entry: Entry, names: Collection[str]) -> None:
    """Check that the lists of these names nowhere fall, in this entry and all that it holds.

    Raises InputError.
    """
    if not names:
        return
    if isinstance(entry.value, dict):
        for name, held in entry.entries().items():
            if name not in names:
                _require_rising(held, names)
                continue
            falls = np.flatnonzero(np.diff(held.numbers()) < 0)
            if len(falls):
                held.items()[falls[0] + 1].refuse("is below the value before it; they never fall")
    elif isinstance(entry.value, list) and any(isinstance(v, dict) for v in entry.value):
        for held in entry.items():
            _require_rising(held, names)


def _classes(content: Entry, version: int) -> int | None:
    """Return K; None for a calibrator of confidences, which files can hold since version 2."""
    kind = content.get("kind") if version > 1 else None
    if kind is None:
        return content["classes"].whole(2)
    kind.text((CONFIDENCE,))
    for key in ("classes", "class_names"):
        if content[key].value is not None:
            content[key].fail("null: a calibrator of confidences has no classes")
    return None


def compact(document: dict[str, Any]) -> str:
    """Return JSON with one line per key, and lists of numbers on one line."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _NUMBERS.sub(lambda match: " ".join(match[0].split()), text)


def _record(fitted: Entry, classes: int) -> FitRecord:
    """Return the record of a fit. Fields of later versions, and "calibtool", are ignored."""
    record = {name: take(entry) for name, take in _RECORD.items() if (entry := fitted.get(name))}
    prior = fitted.get("prior")
    if prior is not None and prior.items():  # of unknown shares, the list is empty
        record["prior"] = tuple(shares_from(prior, classes).tolist())
    return FitRecord(**record)


def _finite(entry: Entry) -> float:
    return entry.number(-math.inf, math.inf)


# method -> lists of its curves that never fall. Curves of the same kind fall where another method
# has fitted them: histogram, bbq and enir follow the outcomes.
_RISING: dict[str, tuple[str, ...]] = {"isotonic": ("y",), "venn-abers": ("p0", "p1")}
# what the fields of a FitRecord are in files; `prior` depends on the number of classes
_RECORD: dict[str, Callable[[Entry], Any]] = {
    "rows": Entry.whole,
    "kind": lambda entry: entry.text(("", "logits", "probs", CONFIDENCE)),
    "objective": Entry.text,
    "nll_before": _finite,
    "nll_after": _finite,
    "gradient": _finite,
    "options": lambda entry: {key: value.plain() for key, value in entry.entries().items()},
    "notes": Entry.texts,
    "fingerprint": Entry.text,
}
