"""Whether the p-values of `calibtool test` are right where calibration is perfect:
python benchmarks/null.py

Scores are drawn from several distributions and outcomes from the scores; each data set is tested by
`calibtool.significance`, as a user would, or with --metrics by the p-values that go with intervals
in `calibtool.evaluate`. Writes results/null.json after every cell, so that what is there of an
interrupted run is whole, and the table into docs/evidence/null.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from calibtool import Predictions, evaluate
from calibtool.analysis.significance import registry, run

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "null.json"
PAGE = HERE.parent / "docs" / "evidence" / "null.md"
MARKS = ("<!-- null:begin -->", "<!-- null:end -->")
SIZES = (200, 2_000, 20_000)
ANY = "any, after Holm"
METRICS = ("ece", "ada-ece", "debiased-ece", "classwise-ece", "tace")  # with p-values of their own


def column(draw: Callable[[np.random.Generator, int], Any]) -> Callable[..., Predictions]:
    """Two classes, by the probability of class 1."""

    def make(rng: np.random.Generator, n: int) -> Predictions:
        p = draw(rng, n)
        return Predictions.from_probs(p, (rng.random(n) < p).astype(int))

    return make


def weighted(rng: np.random.Generator, n: int) -> Predictions:
    p = rng.random(n)
    y = (rng.random(n) < p).astype(int)
    return Predictions.from_probs(p, y, weights=rng.exponential(size=n))


def classes(sigma: float) -> Callable[..., Predictions]:
    """Ten classes; the spread of the logits makes the confidence."""

    def make(rng: np.random.Generator, n: int) -> Predictions:
        logits = sigma * rng.standard_normal((n, 10))
        gumbel = rng.gumbel(size=logits.shape)
        return Predictions.from_logits(logits, (logits + gumbel).argmax(axis=1))

    return make


# name -> (what it is, how it is drawn)
SCENARIOS: dict[str, tuple[str, Callable[..., Predictions]]] = {
    "uniform": ("P(class 1) uniform", column(lambda rng, n: rng.random(n))),
    "confident": (
        "logit P(class 1) normal, standard deviation 6",
        column(lambda rng, n: 1 / (1 + np.exp(-6 * rng.standard_normal(n)))),
    ),
    "rare": ("P(class 1) beta(0.5, 20)", column(lambda rng, n: rng.beta(0.5, 20, n))),
    "tenths": (
        "P(class 1) one of 0, 0.1, ... 1",
        column(lambda rng, n: rng.integers(0, 11, n) / 10),
    ),
    "weighted": ("P(class 1) uniform, weights exponential", weighted),
    "ten classes": ("ten classes, accuracy about 80 %, top view", classes(3.0)),
    "ten confident": ("ten classes, accuracy about 96 %, top view", classes(12.0)),
}


def one(job: tuple[str, int, int, int, str | None, list[str]]) -> dict[str, float]:
    """The p-values of one data set."""
    name, n, index, resamples, tests, metrics = job
    rng = np.random.Generator(np.random.PCG64([index, n, *name.encode()]))
    data = SCENARIOS[name][1](rng, n)
    if metrics:
        report = evaluate(data, metrics, resamples=resamples, seed=index, threads=1)
        return {m: p for m in metrics if (p := report[m].p_value) is not None}
    run.detectable = lambda *_: None  # not what is measured here
    found = run.significance(data, tests=tests, resamples=resamples, seed=index)
    p_values = {r.name: r.p_value for r in found.results if r.p_value is not None}
    return (
        p_values
        if tests
        else p_values | {ANY: min(r.adjusted for r in found.results if r.adjusted is not None)}
    )


def summary(p_values: list[float]) -> dict[str, float]:
    """Shares at or below 5 and 1 %, and the Kolmogorov-Smirnov p-value of uniformity, which is
    not to be expected of the last line, a smallest p-value."""
    from scipy.stats import kstest

    p = np.asarray(p_values)
    return {
        "sets": len(p),
        "below_5": float((p <= 0.05).mean()),
        "below_1": float((p <= 0.01).mean()),
        "uniform": float(kstest(p, "uniform").pvalue),
    }


def table(cells: list[dict[str, Any]]) -> list[str]:
    """A line a test and size; a column a scenario: the share rejected at 5 and at 1 %."""
    names = [name for name in SCENARIOS if any(cell["scenario"] == name for cell in cells)]
    found = {(c["test"], c["n"], c["scenario"]): c for c in cells}
    known = {c["test"] for c in cells}
    tests = [name for name in (*registry.TESTS, ANY, *METRICS) if name in known]
    lines = [
        f"| test | n | {' | '.join(names)} |",
        f"| --- | ---: | {' | '.join('---:' for _ in names)} |",
    ]
    for test in tests:
        for n in SIZES:
            row = [found.get((test, n, name)) for name in names]
            if any(row):
                shown = [
                    f"{100 * c['below_5']:.1f} / {100 * c['below_1']:.1f}" if c else "" for c in row
                ]
                lines.append(f"| {test} | {n:,} | {' | '.join(shown)} |")
    return lines


def write(cells: list[dict[str, Any]], sets: int, resamples: int) -> None:
    about = {name: text for name, (text, _) in SCENARIOS.items()}
    body = {"sets": sets, "resamples": resamples, "scenarios": about, "cells": cells}
    RESULTS.write_text(json.dumps(body, indent=1) + "\n")
    if PAGE.exists():
        before, rest = PAGE.read_text().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        lines = [MARKS[0], "", *table(cells), "", MARKS[1]]
        PAGE.write_text(before + "\n".join(lines) + after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=199)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--tests", help="some of them; what is known of the others is kept")
    parser.add_argument(
        "--metrics", nargs="*", default=[], choices=METRICS, help="instead of tests"
    )
    parser.add_argument("--scenarios", nargs="*", default=[*SCENARIOS], choices=[*SCENARIOS])
    options = parser.parse_args()
    kept = json.loads(RESULTS.read_text())["cells"] if RESULTS.exists() else []
    every = [c["test"] for c in kept if c["test"] not in METRICS]
    again = options.metrics or (options.tests.split(",") if options.tests else every)
    cells: list[dict[str, Any]] = [
        c
        for c in kept
        if c["n"] not in options.sizes
        or c["test"] not in again
        or c["scenario"] not in options.scenarios
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        for n in options.sizes:
            for name in options.scenarios:
                began = time.monotonic()
                settings = (options.resamples, options.tests, options.metrics)
                jobs = [(name, n, index, *settings) for index in range(options.sets)]
                found = list(pool.map(one, jobs, chunksize=8))
                for test in found[0]:
                    own = [p[test] for p in found if test in p]
                    cells.append({"test": test, "n": n, "scenario": name, **summary(own)})
                    print(cells[-1], flush=True)
                print(f"{name}, n = {n:,}: {time.monotonic() - began:.0f} s", flush=True)
                write(cells, options.sets, options.resamples)


if __name__ == "__main__":
    main()
