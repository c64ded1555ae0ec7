"""Calibrator files: versioned JSON. Loading one reads data and runs no code."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.nested_maps import from_document, to_document
from calibtool.data.files.write import write_text
from calibtool.errors import InputError
from calibtool.version import __version__

FORMAT = "calibtool-calibrator"
VERSION = 1  # history: 1, the first
_NUMBERS = re.compile(r"\[[^\[\]{}\"]*\]")  # a JSON list of numbers only


def save(calibrator: Any, path: str | Path) -> None:
    """Write a calibrator file atomically; floats keep every bit."""
    write_text(path, _compact(document_of(calibrator)) + "\n")


def document_of(calibrator: Any) -> dict[str, Any]:
    """Return the content of a calibrator's file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "method": calibrator.method,
        "classes": calibrator.classes,
        "class_names": list(calibrator.class_names) if calibrator.class_names else None,
        **to_document(calibrator.map),
        "fitted": asdict(calibrator.fitted) | {"calibtool": __version__},
    }


def load(path: str | Path, make: Callable[..., Any], methods: Iterable[str]) -> Any:
    """Read a calibrator file.

    Args:
        path: the file.
        make: the class of calibrators.
        methods: names in the registry.

    Raises InputError for anything but a whole calibrator file of a known version.
    """
    where = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not a calibrator file: it is not text") from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: not a whole calibrator file ({error}); it may be truncated"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{where}: not a calibrator file (no format {FORMAT!r} in it)")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{where}: the calibrator file's version is {version!r}, not a number")
    if version > VERSION:
        raise InputError(
            f"{where}: has version {version}, this calibtool reads versions up to {VERSION}; "
            "update calibtool"
        )
    if not isinstance(document.get("method"), str) or document["method"] not in methods:
        raise InputError(
            f"{where}: its method is {document.get('method')!r}; this calibtool knows "
            f"{', '.join(methods)}"
        )
    try:
        return _build(document, make)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{where}: not a whole calibrator file: {reason}") from error


def _compact(document: dict[str, Any]) -> str:
    """Return JSON with one line per key, and lists of numbers on one line."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _NUMBERS.sub(lambda match: " ".join(match[0].split()), text)


def _build(document: dict[str, Any], make: Callable[..., Any]) -> Any:
    """Return the calibrator of a document; raise KeyError, TypeError, ValueError if it has none."""
    classes = document["classes"]
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 2:
        raise ValueError(f"classes must be a whole number of at least 2, not {classes!r}")
    names = document.get("class_names")
    if names is not None and (not isinstance(names, list) or len(names) != classes):
        raise ValueError(f"class_names must be {classes} names or null")
    for key in ("parameters", "fitted"):
        if not isinstance(document.get(key, {} if key == "fitted" else None), dict):
            raise TypeError(f"{key} must be an object of names and values")
    # fields of later versions, and "calibtool", are ignored
    known = FitRecord.__dataclass_fields__
    record = {key: v for key, v in document.get("fitted", {}).items() if key in known}
    record |= {key: tuple(record[key]) for key in ("prior", "notes") if key in record}
    fitted = FitRecord(**record)
    _require_finite(document["parameters"])
    return make(
        document["method"],
        from_document(document, classes),
        classes,
        tuple(map(str, names)) if names else None,
        fitted,
    )


def _require_finite(value: Any) -> None:
    """Raise ValueError for NaN or infinity anywhere; Python's JSON reads both."""
    if isinstance(value, dict):
        for item in value.values():
            _require_finite(item)
    elif isinstance(value, list):
        for item in value:
            _require_finite(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a parameter is not finite")
