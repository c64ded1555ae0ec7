"""Files of prediction sets: versioned JSON. Loading one reads data and runs no code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from calibtool.calibrators.calibrator_file import compact
from calibtool.calibrators.fit import calibrator_in
from calibtool.data.files.document import Entry, require_format
from calibtool.data.files.write import write_text
from calibtool.decisions.coverage_promise import fewest_rows
from calibtool.decisions.set_scores import METHODS, MOST_PENALTY, RANDOMIZED, SetScore
from calibtool.evaluation.resampling import MOST_SEED
from calibtool.version import __version__

FORMAT = "calibtool-sets"
VERSION = 1


def save(sets: Any, path: str | Path) -> None:
    """Write a file of sets atomically; floats keep every bit."""
    write_text(path, compact(document_of(sets)) + "\n")


def document_of(sets: Any) -> dict[str, Any]:
    """Return the content of a file of sets."""
    score = sets.score
    return {
        "format": FORMAT,
        "version": VERSION,
        "method": score.method,
        "coverage": sets.coverage,
        "per_class": sets.per_class,
        "randomized": score.randomized,
        "seed": score.seed,
        "penalty": score.penalty,
        "k_reg": score.k_reg,
        "classes": sets.classes,
        "class_names": list(sets.class_names) if sets.class_names else None,
        "quantiles": sets.quantiles.tolist(),
        "rows": list(sets.rows),
        "fitted": {
            "kind": sets.kind,
            "fingerprint": sets.fingerprint,
            "notes": list(sets.notes),
            "calibtool": __version__,
        },
        "calibrator": None if sets.calibrator is None else sets.calibrator.document(),
    }


def read(content: Entry, make: Callable[..., Any]) -> Any:
    """Return the prediction sets of a document.

    Args:
        content: the document.
        make: the class of prediction sets.

    Raises InputError for anything but a whole document of a known version.
    """
    require_format(content, FORMAT, VERSION)
    coverage = content["coverage"].number(0, 1, inside=True)
    classes = content["classes"].whole(2)
    per_class = content["per_class"].flag()
    score = _score(content)
    thresholds = classes if per_class else 1
    largest = (
        1 + score.penalty * classes
    )  # a sum of probabilities, and the penalty of the last rank
    listed = content.get("class_names")
    names = tuple(name.text() for name in listed.items(classes)) if listed else None
    if names and len(set(names)) < classes:
        content["class_names"].fail("different names")
    held = content.get("calibrator")
    calibrator = None if held is None else calibrator_in(held)
    if calibrator is not None and calibrator.classes != classes:
        content["calibrator"]["classes"].fail(f"{classes:,}, as the sets have")
    fitted = content["fitted"]
    return make(
        coverage,
        score,
        # 1e-6: sums of many probabilities, whose rounding errors add up
        content["quantiles"].numbers(thresholds, least=0, most=largest * (1 + 1e-6)),
        tuple(item.whole(fewest_rows(coverage)) for item in content["rows"].items(thresholds)),
        classes,
        names,
        calibrator,
        fitted["kind"].text(("logits", "probs")),
        fitted["fingerprint"].text(),
        fitted["notes"].texts(),
    )


def _score(content: Entry) -> SetScore:
    method = content["method"].text(METHODS)
    randomized = content["randomized"].flag()
    if randomized and method not in RANDOMIZED:
        content["randomized"].fail(f"false for {method}")
    return SetScore(
        method,
        randomized,
        content["seed"].whole(0, MOST_SEED),
        content["penalty"].number(0, MOST_PENALTY),
        content["k_reg"].whole(),
    )
