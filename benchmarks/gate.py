"""Whether the gate keeps its promises: python benchmarks/gate.py

Models of known truth (truth.py) are measured on many data sets of n = 500 to 50,000 rows by
`calibtool.evaluate`, and held to thresholds by `calibtool.gate.decide`. The threshold is put where
the model stands exactly at it, below or above: a share of the allowed value, which for accuracy is
the share of misses. What was measured goes to --raw, which a second run reads back; the shares of
verdicts go to results/gate.json, from which tools/docs.py makes the tables of
docs/evidence/gate.md.

The edges are measured on the data sets of coverage.py, whose numbers this reads: every metric and
population there, with the threshold exactly at the true value. --sets 0 makes these alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from coverage import NUMBERS as MEASURED_NUMBERS
from coverage import Raw, Truths
from coverage import place as order
from populations import population
from truth import truth

import calibtool as ct
from calibtool.errors import CalibtoolError
from calibtool.gate.decide import decide, detectable
from calibtool.gate.requirement import Requirement, parse_requirement
from calibtool.metrics.spec import parse

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


def measured(scenario: str, n: int, index: int, resamples: int) -> list[tuple[str, Any]]:
    """One data set: the numbers of each metric and level."""
    made: list[tuple[str, Any]] = []
    rng = np.random.Generator(np.random.PCG64([index, n, *scenario.encode()]))
    p, q = population(rng, n, scenario)
    labels = (q.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, q.shape[1] - 1)
    data = ct.Predictions.from_probs(p, labels)
    for level in levels(n):
        report = ct.evaluate(
            data, metrics(n), level=level, resamples=resamples, seed=index, threads=1
        )
        for one in report:
            numbers = [getattr(one, name) for name in NUMBERS]
            made.append((f"{scenario}|{n}|{one.name}|{level}", numbers))
    return made


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


# ------------------------------------------------------------------ the edges


def edges(raw: Raw) -> Iterator[dict[str, Any]]:
    """False proofs and false alarms at the true value, of all that coverage.py measured."""
    truths = Truths(raw.folder)
    for name, n, _, known, numbers in raw.every():
        for metric, rows in zip(known, numbers.transpose(1, 0, 2), strict=True):
            yield from edge(metric, name, n, rows, truths(metric, name, n, rows[:, -1]))


def edge(
    metric: str, name: str, n: int, rows: np.ndarray, true: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Shares of data sets in which a model that misses the threshold by next to nothing is proven
    to meet it, and in which one that meets it by as little fails: each at most 2.5 % for an
    interval that misses so often on each side."""
    plain = metric.removeprefix("delta(").removesuffix(")") if "delta(" in metric else metric
    better = parse(plain).metric.better
    relations = {"lower": ("<=",), "higher": (">=",)}.get(better, ("<=", ">="))
    for relation in relations:
        limits = [ends(metric, relation, value) for value in true.tolist()]
        if any(limit is None for pair in limits for limit in pair):  # at the end of the range
            continue
        sets = [*zip(limits, rows, strict=True)]
        proofs = [verdict(missed, metric, row, "prove", n) == "pass" for (missed, _), row in sets]
        alarms = [verdict(met, metric, row, "tolerate", n) == "fail" for (_, met), row in sets]
        yield {
            "metric": metric,
            "scenario": name,
            "n": n,
            "relation": relation,
            "true": float(true.mean()),
            "sets": len(rows),
            "proofs": float(np.mean(proofs)),
            "alarms": float(np.mean(alarms)),
        }


@cache
def ends(metric: str, relation: str, true: float) -> tuple[Requirement | None, Requirement | None]:
    """The thresholds that a model of a true value misses, and meets, by next to nothing."""
    off = 1e-9 * max(1.0, abs(true)) * (1 if relation == "<=" else -1)
    return limit(metric, relation, true - off), limit(metric, relation, true + off)


def limit(metric: str, relation: str, threshold: float) -> Requirement | None:
    """The requirement, or None where it is refused: beyond what the metric can be."""
    try:
        return parse_requirement(f"{metric} {relation} {threshold!r}")
    except CalibtoolError:
        return None


def verdict(wanted: Requirement | None, metric: str, row: np.ndarray, mode: str, n: int) -> str:
    """The decision; "none" where there is no value, or no interval."""
    assert wanted is not None
    values = dict(zip(MEASURED_NUMBERS, row, strict=False))
    known = {key: None if np.isnan(x) else float(x) for key, x in values.items()}
    try:
        better = "lower" if wanted.spec is None else wanted.spec.metric.better
        one = ct.Estimate(metric, known.pop("value"), better=better, **known)
        return decide(wanted, one, mode, 0.95, n).decision
    except CalibtoolError:
        return "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200, help="0: the edges alone")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--coverage", type=Path, help="the folder of coverage.py (--raw there)")
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--scenarios", nargs="*", default=SCENARIOS)
    parser.add_argument("--raw", type=Path, default=Path("/tmp/calibtool-gate.npz"))
    options = parser.parse_args()
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if options.sets:
        record["resamples"] = options.resamples
        record["cells"] = [cell(key, numbers) for key, numbers in gathered(options).items()]
    found = edges(Raw(options.coverage))
    record["edges"] = sorted(found, key=lambda one: order(one["metric"], one["scenario"], one["n"]))
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    for one in sorted(record["edges"], key=lambda one: max(one["proofs"], one["alarms"]))[-20:]:
        print({key: one[key] for key in ("metric", "scenario", "n", "proofs", "alarms")})


def gathered(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """The numbers of all test sets, by scenario, size, metric and level."""
    raw = dict(np.load(options.raw)) if options.raw.exists() else {}
    began = time.monotonic()
    with multiprocessing.Pool(options.jobs) as pool:
        for n in options.sizes:
            sets = options.sets if n <= 10_000 else options.sets // 2
            for scenario in options.scenarios:
                known = len(raw.get(f"{scenario}|{n}|ece|0.95", ()))
                tasks = [(scenario, n, index, options.resamples) for index in range(known, sets)]
                rows: dict[str, list[Any]] = {}
                for made in pool.starmap(measured, tasks, chunksize=2):
                    for key, numbers in made:
                        rows.setdefault(key, []).append(numbers)
                for key, more in rows.items():
                    new = np.array(more, float)
                    raw[key] = np.concatenate([raw[key], new]) if known else new
                np.savez(options.raw, **raw)
                print(f"{scenario}, n = {n:,}: {time.monotonic() - began:.0f} s", flush=True)
    return raw


if __name__ == "__main__":
    main()
