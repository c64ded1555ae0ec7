"""Do prediction sets cover as often as they promise?

    python benchmarks/set_coverage.py [--simulations N] [--real FOLDER]

Each data set has n rows that set the threshold and 1,000 new ones, of four classes, from an
overconfident model that underrates the last class. `coverage` is the mean over data sets of the
covered share of new rows; `expected` is k / (n + 1), what it is where no two scores are equal, and
`error` the standard error of the mean. `inside` is the share of data sets whose coverage lies in
the 95 % range that is told beforehand (beta-binomial). `worst` is the mean coverage of the class
that is covered least. The data "ties" have probabilities rounded to tenths. With --real, also what
every method does on published logits (the folder of `calibrators.py quality`): one half of the rows
sets the threshold, the other is covered or not. Writes results/set_coverage.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import calibtool as ct
from calibtool.decisions.set_scores import RANDOMIZED
from calibtool.errors import InputError

HERE = Path(__file__).parent
COVERAGE = 0.9
CLASSES = 4
NEW = 1000  # rows on which each threshold is tried
# method, randomized, per class; the penalty and the ranks of RAPS suit four classes
CELLS = [
    ("lac", False, False),
    ("aps", True, False),
    ("aps", False, False),
    ("raps", True, False),
    ("lac", False, True),
    ("aps", True, True),
    ("raps", True, True),
]
REAL = ("cifar10_resnet20", "cifar100_resnet20", "sst2_gpt2")
RAPS = {"penalty": 0.05, "k_reg": 1}


def made(rng, n, kind):
    logits = 1.5 * rng.normal(size=(n, CLASSES))
    true = np.exp(logits + np.array([0, 0, 0, 0.7]))
    true /= true.sum(axis=1, keepdims=True)
    labels = (rng.random(n)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    labels = np.minimum(labels, CLASSES - 1)
    if kind == "ties":
        probs = np.exp(2 * logits)
        tenths = np.rint(10 * probs / probs.sum(axis=1, keepdims=True)) + 0.001
        return ct.Predictions.from_probs(tenths / tenths.sum(axis=1, keepdims=True), labels)
    return ct.Predictions.from_logits(2 * logits, labels)


def tried(rng, n, kind, method, randomized, per_class, seed):
    """One data set: coverage, mean size, coverage per class and whether it lies in the range."""
    rows, new = made(rng, n, kind), made(rng, NEW, kind)
    more = RAPS if method == "raps" else {}
    sets = ct.fit_sets(rows, COVERAGE, method, per_class, randomized=randomized, seed=seed, **more)
    inside = sets.inside(new)
    covered = inside[np.arange(NEW), new.labels]
    by_class = [covered[new.labels == k].mean() for k in range(CLASSES)]
    low, high = (0, 1) if per_class else sets.promises[0].observed(NEW)
    expected = [promise.rank / (promise.rows + 1) for promise in sets.promises]
    if per_class:
        expected = [np.bincount(new.labels, minlength=CLASSES) @ expected / NEW]
    return [covered.mean(), inside.sum() / NEW, low <= covered.mean() <= high, *expected, *by_class]


def cell(kind, n, method, randomized, per_class, simulations):
    rng = np.random.default_rng([n, len(kind), len(method), randomized, per_class])
    results, few = [], 0
    for seed in range(simulations):
        try:
            results.append(tried(rng, n, kind, method, randomized, per_class, seed))
        except InputError:  # a class with fewer than nine rows
            few += 1
    values = np.array(results, float)
    mean = values.mean(axis=0)
    return {
        "data": kind,
        "n": n,
        "method": method,
        "randomized": randomized,
        "per_class": per_class,
        "simulations": simulations,
        "too_few_rows": few,
        "coverage": round(float(mean[0]), 4),
        "error": round(float(values[:, 0].std(ddof=1) / np.sqrt(len(values))), 5),
        "expected": round(float(mean[3]), 4),
        "inside": None if per_class else round(float(mean[2]), 4),
        "worst": round(float(mean[4:].min()), 4),
        "size": round(float(mean[1]), 3),
    }


def real(folder):
    """What each method does on the second half of published rows, the first of which sets it."""
    found = []
    for name in REAL:
        rows = ct.load(folder / f"{name}.npz")
        order = np.random.default_rng(0).permutation(rows.rows)
        first, second = (rows.take(np.sort(half)) for half in np.array_split(order, 2))
        drawn = [(method, randomized) for method in RANDOMIZED for randomized in (True, False)]
        for method, randomized in [("lac", False), *drawn]:
            sets = ct.fit_sets(first, COVERAGE, method, randomized=randomized)
            report = ct.evaluate_sets(second, sets, resamples=0)
            found.append(
                {
                    "data": name,
                    "method": method,
                    "randomized": randomized,
                    "rows": second.rows,
                    "coverage": report.whole.coverage.value,
                    "expected": report.expected,
                    "size": report.size.value,
                    "empty": report.whole.empty,
                    "single": report.whole.single,
                    "worst": report.worst_class.coverage.value,
                }
            )
            print(found[-1], flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--real", type=Path)
    given = parser.parse_args()
    path = HERE / "results" / "set_coverage.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    if given.real:
        record["real"] = real(given.real)
        path.write_text(json.dumps(record, indent=1) + "\n")
    cells = []
    asked = [("distinct", n, *c) for c in CELLS for n in (100, 1000)]
    asked += [("ties", n, *c) for c in CELLS[:2] for n in (100, 1000)]
    if not given.simulations:
        return
    for kind, n, *how in asked:
        start = time.perf_counter()
        cells.append(cell(kind, n, *how, given.simulations))
        print(f"{time.perf_counter() - start:6.0f} s", cells[-1], flush=True)
        record |= {"date": time.strftime("%Y-%m-%d"), "coverage": COVERAGE, "cells": cells}
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
