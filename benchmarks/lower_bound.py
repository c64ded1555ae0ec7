"""How far calibration-lp lies below the true error, and how often an interval around it holds that.

OPENBLAS_NUM_THREADS=1 python benchmarks/lower_bound.py

The rows' terms, whose mean the metric is, give a normal interval, as for any mean. Data sets are
those of `populations.py` with classes or one score; the truth is the mean of |rate - score|_1 over
200,000 rows. Writes results/lower_bound.json.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import numpy as np
from populations import POPULATIONS, SCENARIOS, Rows, draw
from speed import HERE, Floats, Ints, installed

from calibtool.intervals.weighted_mean import variance_of_mean
from calibtool.metrics.variational import row_terms

RESULTS = HERE / "results" / "lower_bound.json"
NORMAL = 1.959964  # the 97.5 % quantile
SIZES = (300, 3_000)
TRUTH_ROWS = 200_000


def matrix(score: Floats) -> Floats:
    """Probabilities as whole rows, (n, K)."""
    return score if score.ndim == 2 else np.stack([1 - score, score], axis=1)


def outcomes(rng: np.random.Generator, rate: Floats) -> Ints:
    """Labels drawn from the true probabilities."""
    ahead = matrix(rate).cumsum(axis=1) < rng.random((len(rate), 1))
    return np.minimum(ahead.sum(axis=1), matrix(rate).shape[1] - 1)


def true_error(rows: Rows) -> float:
    """The mean 1-norm of the difference, or of one score the absolute one."""
    off = np.abs(rows.rate - rows.score)
    return float(np.average(off.sum(axis=1) if off.ndim == 2 else off, weights=rows.mass))


def simulate(name: str, n: int, sets: int) -> dict[str, Any]:
    """Share of the data sets whose interval holds the true error, or lies beside it."""
    truth = true_error(draw(np.random.Generator(np.random.PCG64(1)), TRUTH_ROWS, name))
    values, errors = [], []
    for index in range(sets):
        rng = np.random.Generator(np.random.PCG64([index, n]))
        rows = draw(rng, n, name)
        labels = outcomes(rng, rows.rate)
        options: dict[str, Any] = {"p": "1", "view": "rows", "side": "both"}
        terms, w = row_terms(matrix(rows.score), labels, rows.weights, **options)
        values.append(w / w.sum() @ terms)
        errors.append(math.sqrt(variance_of_mean(terms, w)))
    value, half = np.array(values), NORMAL * np.array(errors)
    return {
        "population": name,
        "n": n,
        "truth": truth,
        "mean": float(value.mean()),
        "covered": float(np.mean(np.abs(value - truth) <= half)),
        "below": float(np.mean(value + half < truth)),
        "above": float(np.mean(value - half > truth)),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--simulations", type=int, default=200)
    options = asked.parse_args()
    found = []
    names = [name for name in (*SCENARIOS, *POPULATIONS) if name != "verbalised"]
    for name in names:
        for n in SIZES:
            found.append(simulate(name, n, options.simulations))
            print(found[-1], flush=True)
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "simulations": options.simulations,
        "versions": {name: installed(name) for name in ("calibtool", "numpy")},
        "cells": found,
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
