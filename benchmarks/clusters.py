"""Intervals of rows that hang together, with --cluster and without: python benchmarks/clusters.py

Rows come in clusters of one size; their outcomes hang together by a Gaussian copula of correlation
0.4, their scores by another of 0.5 (a user's scores are alike). Two classes, one score a row. How
often the nominal 95 % interval contains the truth. Writes results/clusters.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.special import expit, logit, ndtri

import calibtool as ct
from calibtool.data.slicing import with_extra

HERE = Path(__file__).parent
METRICS = ("accuracy", "nll", "auroc", "ece", "ada-ece", "rmsce", "ks")
SCENARIOS = {"calibrated": 1.0, "overconfident": 1.6}
SHAPES = ((2000, 10), (2000, 40), (8000, 10))  # rows, rows a cluster


def draw(rng, n, size, sharpen, rho=0.4, alike=0.5):
    """Predictions whose clusters are in `extra`."""
    cluster = np.arange(n) // size
    count = int(cluster.max()) + 1
    z = np.sqrt(alike) * rng.normal(size=count)[cluster] + np.sqrt(1 - alike) * rng.normal(size=n)
    true = expit(1.3 * z)
    shared = rng.normal(size=count)[cluster]
    hot = np.sqrt(rho) * shared + np.sqrt(1 - rho) * rng.normal(size=n) < ndtri(true)
    data = ct.Predictions.from_probs(expit(sharpen * logit(true)), hot.astype(int))
    return with_extra(data, {"cluster": cluster})


def truths(metrics, sharpen):
    """Of independent rows at quantiles, whose outcomes' rates take the place of the outcomes."""
    z = ndtri((np.arange(200_000) + 0.5) / 200_000)
    true = expit(1.3 * z)
    score = expit(sharpen * logit(true))
    data = ct.Predictions.from_probs(
        np.concatenate([score, score]),
        np.repeat([1, 0], len(true)),
        weights=np.concatenate([true, 1 - true]),
    )
    found = ct.evaluate(data, metrics, ci="none")
    return {name: found[name].value for name in metrics}


def cell(scenario, n, size, metrics, simulations, resamples):
    sharpen = SCENARIOS[scenario]
    truth = truths(metrics, sharpen)
    rng = np.random.default_rng([6, n, size, list(SCENARIOS).index(scenario)])
    inside = {(name, how): [] for name in metrics for how in (None, "cluster")}
    width = {key: [] for key in inside}
    for seed in range(simulations):
        data = draw(rng, n, size, sharpen)
        for how in (None, "cluster"):
            options = {"resamples": resamples, "seed": seed, "threads": 1}
            found = ct.evaluate(data, metrics, cluster=how, **options)
            for name in metrics:
                one = found[name]
                inside[name, how].append(one.low - 1e-12 <= truth[name] <= one.high + 1e-12)
                width[name, how].append(one.high - one.low)
    for name in metrics:
        yield {
            "scenario": scenario,
            "rows": n,
            "rows_a_cluster": size,
            "metric": name,
            "truth": round(float(truth[name]), 5),
            "simulations": simulations,
            "rows_alone": round(float(np.mean(inside[name, None])), 4),
            "clusters": round(float(np.mean(inside[name, "cluster"])), 4),
            "wider": round(float(np.mean(width[name, "cluster"]) / np.mean(width[name, None])), 3),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--metrics", default=",".join(METRICS))
    parser.add_argument("--shapes", type=int, default=len(SHAPES))
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--resume", action="store_true", help="keep what was measured before")
    given = parser.parse_args()
    path = HERE / "results" / "clusters.json"
    cells = json.loads(path.read_text())["cells"] if given.resume and path.exists() else []
    for n, size in SHAPES[: given.shapes]:
        for scenario in SCENARIOS:
            start = time.perf_counter()
            place = (scenario, n, size)
            done = [(c["scenario"], c["rows"], c["rows_a_cluster"]) for c in cells]
            if place in done:
                continue
            metrics = given.metrics.split(",")
            cells += cell(*place, metrics, given.simulations, given.resamples)
            print(f"{time.perf_counter() - start:6.0f} s")
            for one in cells[-len(metrics) :]:
                print("  ", one, flush=True)
            if not given.dry:
                record = {"date": time.strftime("%Y-%m-%d"), "cells": cells}
                path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
