"""Whether the gate keeps its promises: python benchmarks/gate.py

Models of known truth (truth.py) are measured on many data sets of n = 500 to 50,000 rows by
`calibtool.evaluate`, and held to thresholds by `calibtool.gate.decide`. The threshold is put where
the model stands exactly at it, below or above: a share of the allowed value, which for accuracy is
the share of misses. What was measured goes to --raw, which a second run reads back; the shares of
verdicts go to results/gate.json, from which tools/docs.py makes the tables of docs/gate.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from truth import population, truth

import calibtool as ct
from calibtool.gate.decide import decide, detectable
from calibtool.gate.requirement import Requirement, parse_requirement

RESULTS = Path(__file__).parent / "results" / "gate.json"
SIZES = (500, 2_000, 10_000, 50_000)
SCENARIOS = ("T=1.1", "T=1.3", "wiggly")
METRICS = ("ece", "classwise-ece", "nll", "accuracy")
MODES = ("prove", "tolerate", "point")
# the true excess, as a share of what is allowed
PLACES = (0.0, -0.2, 0.1, 0.25, 0.5, 1.0)
NUMBERS = ("value", "low", "high", "corrected", "error")


def levels(n: int) -> tuple[float, ...]:
    """At which intervals are made; the second where it is cheap."""
    return (0.95, 0.9) if n <= 2_000 else (0.95,)


def metrics(n: int) -> tuple[str, ...]:
    """What is measured; of many rows, not what is slow."""
    return METRICS if n <= 10_000 else ("ece", "nll", "accuracy")


def requirement(metric: str, true: float, excess: float) -> Requirement:
    """A requirement that the true value exceeds by a share of what it allows."""
    if metric == "accuracy":
        return parse_requirement(f"accuracy >= {1 - (1 - true) / (1 + excess)!r}")
    return parse_requirement(f"{metric} <= {true / (1 + excess)!r}")


def measured(scenario: str, n: int, index: int, resamples: int) -> Iterator[tuple[str, Any]]:
    """One data set: the numbers of each metric and level."""
    rng = np.random.Generator(np.random.PCG64([index, n, *scenario.encode()]))
    p, q = population(rng, n, scenario)
    labels = (q.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, q.shape[1] - 1)
    data = ct.Predictions.from_probs(p, labels)
    for level in levels(n):
        report = ct.evaluate(
            data, metrics(n), level=level, resamples=resamples, seed=index, threads=1
        )
        for one in report:
            yield f"{scenario}|{n}|{one.name}|{level}", [getattr(one, name) for name in NUMBERS]


def cell(key: str, numbers: np.ndarray) -> dict[str, Any]:
    """Shares of verdicts at every place in every mode, and whether the detectable excess is."""
    scenario, size, metric, text = key.split("|")
    n, level = int(size), float(text)
    true = truth(scenario, metric)
    found = [estimate(metric, row) for row in numbers]
    shares: dict[str, dict[str, list[float]]] = {mode: {} for mode in MODES}
    for mode in MODES:
        for place in PLACES:
            wanted = requirement(metric, true, place)
            count = Counter(decide(wanted, one, mode, level, n).decision for one in found)
            kinds = ("pass", "fail", "inconclusive")
            shares[mode][f"{place:g}"] = [count[kind] / len(found) for kind in kinds]
    at = requirement(metric, true, 0)
    near = np.array([one.low if at.upper else one.high for one in found], float)
    side = 1 if at.upper else -1
    return {
        "scenario": scenario,
        "n": n,
        "metric": metric,
        "level": level,
        "true": true,
        "sets": len(found),
        "shares": shares,  # mode -> excess -> pass, fail, inconclusive
        "said": float(np.median([detectable(at, one, level) for one in found])),
        "found": float(side * (true - np.quantile(side * near, 0.2) * side)),
    }


def estimate(metric: str, row: np.ndarray) -> ct.Estimate:
    values = {name: None if np.isnan(x) else float(x) for name, x in zip(NUMBERS, row, strict=True)}
    return ct.Estimate(metric, values.pop("value"), **values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--raw", type=Path, default=Path("/tmp/calibtool-gate.npz"))
    options = parser.parse_args()
    raw = dict(np.load(options.raw)) if options.raw.exists() else {}
    began = time.process_time()
    for n in options.sizes:
        sets = options.sets if n <= 10_000 else options.sets // 2
        for scenario in options.scenarios:
            known = len(raw.get(f"{scenario}|{n}|ece|0.95", ()))
            rows: dict[str, list[Any]] = {}
            for index in range(known, sets):
                for key, numbers in measured(scenario, n, index, options.resamples):
                    rows.setdefault(key, []).append(numbers)
            for key, more in rows.items():
                new = np.array(more, float)
                raw[key] = np.concatenate([raw[key], new]) if known else new
            np.savez(options.raw, **raw)
            print(f"{scenario}, n = {n:,}: {time.process_time() - began:.0f} s", flush=True)
    cells = [cell(key, numbers) for key, numbers in raw.items()]
    body = {"resamples": options.resamples, "cells": cells}
    RESULTS.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
