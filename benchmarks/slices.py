"""Is what `calibtool slices` reports real, and does it find what was put in?

    python benchmarks/slices.py [--simulations N]

Calibrated data: six columns, four of which the scores depend on; any slice reported is a false one.
Planted data: in one pair of values the true log-odds are lower; found is a report of a slice of
which at least half the rows lie in it, false is one with none. Also how often `evaluate --by` marks
a slice as different where all slices are alike. Writes results/slices.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.special import expit, logit, ndtri

import calibtool as ct
from calibtool.analysis.slice_search import search_slices
from calibtool.analysis.slices import evaluate_by
from calibtool.data.slicing import partition, with_extra

HERE = Path(__file__).parent
SHIFTS = (0.4, 0.8, 1.2)


def columns(rng, n):
    return {
        "country": rng.choice(list("abcdefgh"), n, p=[0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.04, 0.01]),
        "device": rng.choice(["phone", "laptop", "tablet"], n, p=[0.6, 0.25, 0.15]),
        "age": rng.normal(40, 12, n),
        "spend": rng.exponential(size=n),
        "weekday": rng.integers(0, 7, n),
        "noise": rng.normal(size=n),
    }


def made(rng, n, kind, shift=0.0):
    """Predictions and the mask of the planted slice."""
    extra = columns(rng, n)
    wide = 1.0 if kind == "two classes" else 3.0
    base = -1.0 if kind == "two classes" else -4.0
    lean = 0.5 * (extra["device"] == "phone") + 0.02 * (extra["age"] - 40)
    score = expit(base + wide * rng.normal(size=n) + lean + 0.3 * (extra["spend"] - 1))
    planted = (extra["country"] == "b") & (extra["device"] == "laptop")
    true = np.where(planted, expit(logit(score) - shift), score)
    hot = rng.random(n) < true
    if kind == "dependent rows":
        user = np.repeat(np.arange(n // 5 + 1), 5)[:n]
        extra |= {"user": user}
        for name in ("country", "age"):  # the user's, like what hangs together
            extra[name] = extra[name][user * 5 % n]
        noise = np.sqrt(0.4) * rng.normal(size=n)[user] + np.sqrt(0.6) * rng.normal(size=n)
        score = expit(-1.0 + rng.normal(size=n))
        planted = np.zeros(n, bool)
        hot = noise < ndtri(score)
    return with_extra(ct.Predictions.from_probs(score, hot.astype(int)), extra), planted


def cell(kind, n, shift, simulations, cluster=None):
    rng = np.random.default_rng([3, n, int(100 * shift), len(kind)])
    false = found = 0
    for seed in range(simulations):
        data, planted = made(rng, n, kind, shift)
        chosen = None if cluster or kind != "dependent rows" else [*columns(rng, 1)]
        report = search_slices(data, chosen, cluster=cluster, seed=seed)
        hit = wrong = False
        for one in report.found:
            parts = partition(data, one.by, most=20)
            inside = planted[parts.codes == parts.names.index(one.name)]
            hit |= inside.mean() >= 0.5
            wrong |= not inside.any()
        false, found = false + wrong, found + hit
    return {
        "data": kind,
        "n": n,
        "shift": shift,
        "cluster": bool(cluster),
        "simulations": simulations,
        "false": round(false / simulations, 4),
        "found": round(found / simulations, 4) if shift else None,
    }


def marked(n, simulations):
    """How often any slice is marked as different where all are alike."""
    rng = np.random.default_rng([4, n])
    hits = 0
    for seed in range(simulations):
        z = 1.5 * rng.normal(size=n)
        data = ct.Predictions.from_probs(expit(2 * z), (rng.random(n) < expit(z)).astype(int))
        data = with_extra(data, {"place": rng.choice(list("abcdef"), n)})
        how = {"resamples": 200, "seed": seed, "threads": 1}
        (part,) = evaluate_by(data, "place", **how).parts
        hits += any(
            m.adjusted is not None and m.adjusted < 0.05 for s in part.slices for m in s.measures
        )
    return {"n": n, "simulations": simulations, "marked": round(hits / simulations, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--simulations", type=int, default=400)
    given = parser.parse_args()
    asked = [
        *(("two classes", n, 0.0, None) for n in (2000, 10000)),
        *(("confident", n, 0.0, None) for n in (2000, 10000)),
        *(("dependent rows", 10000, 0.0, cluster) for cluster in (None, "user")),
        *(("two classes", 10000, shift, None) for shift in SHIFTS),
    ]
    cells, alike = [], []
    path = HERE / "results" / "slices.json"
    for kind, n, shift, cluster in asked:
        start = time.perf_counter()
        cells.append(cell(kind, n, shift, given.simulations, cluster))
        print(f"{time.perf_counter() - start:6.0f} s", cells[-1], flush=True)
        _write(path, cells, alike)
    for n in (1000, 5000):
        alike.append(marked(n, given.simulations // 2))
        print(alike[-1], flush=True)
        _write(path, cells, alike)


def _write(path, cells, alike):
    record = {"date": time.strftime("%Y-%m-%d"), "cells": cells, "alike": alike}
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
