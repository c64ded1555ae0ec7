"""What the scripts of benchmarks/ measured last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "benchmarks" / "results"


def results_of(name: str) -> dict[str, Any]:
    """Return the record of a benchmark."""
    record: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return record
