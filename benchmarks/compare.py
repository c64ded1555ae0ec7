"""Are the p-values of `calibtool compare` right where two models are equally good?

    python benchmarks/compare.py [--simulations N] [--quick]

Two models see the same quantity, each with its own noise of one law: they make different mistakes,
and every metric has the same true value for both, whatever it is. Each data set is compared as a
user would; a p-value below 0.05 is a false claim. Writes results/compare.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.special import ndtr, softmax

import calibtool as ct
from calibtool.analysis.comparison import METRICS as DEFAULT
from calibtool.analysis.comparison import compare

HERE = Path(__file__).parent
SIZES = (500, 2000)
METRICS = [name for name in DEFAULT if name != "ks"]  # which takes twice as long as all others


def binary(rng, n, sharpen):
    """y = 1 where x + e > 0; a model sees x with noise. At sharpen = 1 both are calibrated: the
    probability of y given what a model sees is normal. Above, both are overconfident."""
    x = rng.normal(size=n)
    y = (x + 0.6 * rng.normal(size=n) > 0).astype(int)
    noise = 0.5
    shrink = 1 / (1 + noise**2)
    spread = np.sqrt(0.6**2 + noise**2 * shrink)
    made = []
    for _ in range(2):
        seen = x + noise * rng.normal(size=n)
        made.append(ct.Predictions.from_probs(ndtr(sharpen * shrink * seen / spread), y))
    return made


def several(rng, n, sharpen):
    """Five classes; both models see noisy logits."""
    true = 1.5 * rng.normal(size=(n, 5))
    y = (softmax(true, axis=1).cumsum(1) < rng.random((n, 1))).sum(1).clip(0, 4)
    return [
        ct.Predictions.from_logits(sharpen * (true + 0.7 * rng.normal(size=(n, 5))), y)
        for _ in range(2)
    ]


SCENARIOS = {
    "two classes, calibrated": (binary, 1.0),
    "two classes, overconfident": (binary, 2.0),
    "five classes, near calibrated": (several, 0.75),
    "five classes, overconfident": (several, 2.0),
}


def run(scenario, n, simulations, resamples):
    """Shares of p < 0.05 by metric, and of any after Holm's correction."""
    make, sharpen = SCENARIOS[scenario]
    rng = np.random.default_rng([7, list(SCENARIOS).index(scenario), n])
    below = {name: [] for name in METRICS}
    claims = []
    for seed in range(simulations):
        files = make(rng, n, sharpen)
        how = {"resamples": resamples, "seed": seed, "threads": 1}
        found = compare(files, METRICS, names=("a", "b"), **how)
        for line in found.lines:
            change = line.changes[1]
            if change.estimate.p_value is not None:
                below[line.spec].append(change.estimate.p_value < 0.05)
        claims.append(any(line.changes[1].verdict for line in found.lines))
    shares = {name: round(float(np.mean(own)), 4) for name, own in below.items() if own}
    return {
        "scenario": scenario,
        "n": n,
        "simulations": simulations,
        "below": shares,
        "any_after_holm": round(float(np.mean(claims)), 4),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="n = 500 alone, and nothing written")
    given = parser.parse_args()
    cells = []
    for n in SIZES[:1] if given.quick else SIZES:
        for scenario in SCENARIOS:
            start = time.perf_counter()
            cells.append(run(scenario, n, given.simulations, given.resamples))
            print(f"{time.perf_counter() - start:6.0f} s", cells[-1], flush=True)
            if not given.quick:
                record = {
                    "date": time.strftime("%Y-%m-%d"),
                    "resamples": given.resamples,
                    "cells": cells,
                }
                path = HERE / "results" / "compare.json"
                path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
