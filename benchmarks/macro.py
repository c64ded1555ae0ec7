"""Coverage of intervals of means over labels (the macro average): python benchmarks/macro.py

Rows have several labels, whose scores and outcomes are correlated within the row (a Gaussian copula
of correlation 0.5). The probability of label k is expit(slope_k z + shift_k) where the score is
expit(z). True values are those of a million rows with their probabilities as outcomes. Writes
results/macro.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.special import expit, ndtri

import calibtool as ct
from calibtool.data.slicing import partition
from calibtool.evaluation.mean_over_parts import means_over_parts
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.intervals.estimate import Estimate

HERE = Path(__file__).parent
METRICS = (
    *("accuracy", "nll", "brier", "ece(view=positive)", "ece(view=top)"),
    *("ada-ece(view=positive)", "mce(view=positive)"),
)
CORRELATION = 0.5
# name: rows, slopes, shifts, share of missing targets
SCENARIOS = {
    "calibrated": (300, np.ones(5), np.zeros(5), 0.0),
    "all overconfident": (300, np.full(5, 0.6), np.zeros(5), 0.0),
    "all too high": (300, np.ones(5), np.full(5, -0.4), 0.0),
    "half of them off": (600, np.where(np.arange(10) < 5, 0.6, 1), np.zeros(10), 0.0),
    "either way, missing": (600, np.ones(6), np.tile([-0.5, 0.5], 3), 0.3),
}


def draw(rng, rows, labels):
    return rng.normal(-0.5, 1, (rows, 1)) + rng.normal(0, 1.2, (rows, labels))


def truths(slopes, shifts):
    z = draw(np.random.default_rng(1), 1 << 18, 1)[:, 0]
    found = {name: [] for name in METRICS}
    for slope, shift in zip(slopes, shifts, strict=True):
        p, q = expit(z), expit(slope * z + shift)
        data = ct.Predictions.from_probs(
            np.concatenate([p, p]),
            np.repeat([1, 0], len(p)),
            weights=np.concatenate([q, 1 - q]),
        )
        report = ct.evaluate(data, METRICS, ci="none")
        for name in METRICS:
            found[name].append(report[name].value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def cell(scenario, sets, resamples):
    rows, slopes, shifts, missing = SCENARIOS[scenario]
    true = truths(slopes, shifts)
    hits, below, width = (dict.fromkeys(METRICS, 0.0) for _ in range(3))
    for seed in range(sets):
        rng = np.random.default_rng([7, list(SCENARIOS).index(scenario), seed])
        z = draw(rng, rows, len(slopes))
        shared, own = rng.normal(size=(rows, 1)), rng.normal(size=z.shape)
        latent = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own
        targets = (latent < ndtri(expit(slopes * z + shifts))).astype(float)
        targets[rng.random(z.shape) < missing] = np.nan
        data = ct.read((expit(z), targets), multilabel=True).load()
        request = Request.of(data, METRICS, resampling=Resampling(resamples=resamples, seed=seed))
        values = [Estimate(spec.name, 0.0, view=spec.view) for spec in request.specs]
        part = partition(data, "label").codes
        for name, one in zip(METRICS, means_over_parts(request, data, part, values), strict=True):
            hits[name] += one.low <= true[name] <= one.high
            below[name] += one.high < true[name]
            width[name] += one.high - one.low
    return [
        {
            "scenario": scenario,
            "rows": rows,
            "labels": len(slopes),
            "metric": name,
            "truth": round(true[name], 5),
            "sets": sets,
            "coverage": round(hits[name] / sets, 4),
            "too_low": round(below[name] / sets, 4),
            "width": round(width[name] / sets, 5),
        }
        for name in METRICS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--only", choices=SCENARIOS, help="measure one scenario")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    given = parser.parse_args()
    cells = []
    for scenario in [given.only] if given.only else SCENARIOS:
        start = time.perf_counter()
        cells += cell(scenario, given.sets, given.resamples)
        print(f"{scenario} ({time.perf_counter() - start:.0f} s)")
        for one in cells[-len(METRICS) :]:
            print("  ", *(one[key] for key in ("metric", "truth", "coverage", "too_low", "width")))
        if not given.dry and not given.only:
            record = {"date": time.strftime("%Y-%m-%d"), "cells": cells}
            (HERE / "results" / "macro.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
