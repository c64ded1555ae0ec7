"""JSON: stable and versioned; docs/json.md describes it. Nothing is rounded."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from calibtool.analysis.selection import Selection
from calibtool.evaluation.report import Report
from calibtool.gate.outcome import Check, Outcome
from calibtool.intervals.estimate import Estimate
from calibtool.version import __version__

VERSIONS = {"calibtool-check": 2}  # 1: the first; of a check 2: three verdicts, with margins


def report(found: Report) -> str:
    """A report as a document of format "calibtool-report"."""
    return _dump(_head("calibtool-report") | _report(found))


def outcome(found: Outcome) -> str:
    """A gate's outcome as a document of format "calibtool-check"."""
    verdicts = [
        {
            "requirement": verdict.requirement.text,
            "subject": verdict.requirement.subject,
            "relation": verdict.requirement.relation,
            "threshold": verdict.requirement.threshold,
            "by": verdict.requirement.by or None,
            **_held(verdict.held),
            "slices": [_held(held) for held in verdict.slices],
            "note": verdict.note,
        }
        for verdict in found.verdicts
    ]
    head = _head("calibtool-check") | {
        "passed": found.passed,
        "decision": found.decision,
        "mode": found.mode,
        "inconclusive_counts_as": found.inconclusive or None,
        "alpha": found.alpha,
        "baseline": found.baseline or None,
        "requirements": verdicts,
    }
    return _dump(head | {"report": _report(found.report)})


def _held(found: Check) -> dict[str, Any]:
    """A number held to a threshold."""
    return {
        "slice": found.name or None,
        "rows": found.rows,
        "measured": estimate(found.estimate),
        "level": found.level,
        "verdict": found.decision,
        "margin": finite(found.margin),
        "why": found.why,
        "detectable": found.detectable,
        "rows_needed": found.needed,
    }


def selection(found: Selection) -> str:
    """A selection as a document of format "calibtool-selection"."""
    body = {
        "data": asdict(found.data),
        "how": found.how,
        "rank_by": found.rank_by,
        "level": found.level,
        "prior": found.prior,
        "candidates": [
            {key: finite(value) for key, value in asdict(one).items()}
            | {"skill": finite(found.skill(one))}
            for one in found.candidates
        ],
        "best": found.best,
        "chosen": found.chosen,
        "why": found.why,
    }
    return _dump(_head("calibtool-selection") | body)


def estimate(found: Estimate) -> dict[str, Any]:
    """A metric's estimate."""
    return {key: finite(value) for key, value in asdict(found).items()}


def document(kind: str, body: dict[str, Any]) -> str:
    """Any other document of ours."""
    return _dump(_head(kind) | body)


def finite(value: Any) -> Any:
    """JSON has no infinity: "inf", "-inf" and "nan" are texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _head(kind: str) -> dict[str, Any]:
    return {"format": kind, "version": VERSIONS.get(kind, 1), "calibtool": __version__}


def _report(found: Report) -> dict[str, Any]:
    metrics = []
    for index, one in enumerate(found.estimates):
        entry = estimate(one)
        if found.after:
            entry["after"] = estimate(found.after[index])
            entry["change"] = estimate(found.change[index])
        metrics.append(entry)
    return {
        "data": asdict(found.data),
        "level": found.level,
        "calibrator": found.calibrator or None,
        "metrics": metrics,
        "bias": estimate(found.bias) if found.bias else None,
        "cells": _cells(found),
        "reading": found.reading,
        "warnings": list(found.warnings),
        "skipped": [{"file": file, "reason": reason} for file, reason in found.skipped],
    }


def _cells(found: Report) -> dict[str, Any] | None:
    """15 bins of the scores: weight, and sums of scores and of outcomes."""
    if found.cells is None:
        return None
    edges, n, p, y = (getattr(found.cells, name).tolist() for name in ("at", "n", "p", "y"))
    return {"view": found.view, "edges": edges, "n": n, "p": p, "y": y}


def _dump(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
