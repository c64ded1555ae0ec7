"""How often intervals from cells contain the truth: python benchmarks/cells_coverage.py

As coverage.py, whose populations these are, but measured as files of very many rows are: from
cells, `ct.evaluate(ct.cells(data))`. Writes results/cells_coverage.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from populations import CLASSES, SCENARIOS, population
from truth import truth as true_value

import calibtool as ct

METRICS = ("ece", "ada-ece", "rmsce", "mce", "classwise-ece", "smece", "ks", "nll", "accuracy")


def main() -> None:
    """Every scenario at every size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000])
    asked = parser.parse_args()
    rows = []
    for scenario in SCENARIOS:
        for n in asked.sizes:
            rng = np.random.default_rng([2, list(SCENARIOS).index(scenario), n])
            inside = dict.fromkeys(METRICS, 0)
            truth = {m: true_value(scenario, m) for m in METRICS}
            for seed in range(asked.simulations):
                p, q = population(rng, n, scenario)
                y = (q.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, CLASSES - 1)
                state = ct.cells(ct.Predictions.from_probs(p, y), threads=1)
                found = ct.evaluate(state, METRICS, resamples=asked.resamples, seed=seed, threads=1)
                for m in METRICS:
                    inside[m] += found[m].low <= truth[m] <= found[m].high
            shares = {m: inside[m] / asked.simulations for m in METRICS}
            rows.append({"scenario": scenario, "n": n, "covered": shares})
            print(scenario, n, {m: round(share, 2) for m, share in shares.items()}, flush=True)
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "simulations": asked.simulations,
        "resamples": asked.resamples,
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "cells_coverage.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
