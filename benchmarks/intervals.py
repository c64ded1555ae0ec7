"""Our intervals of calibration errors beside others: python benchmarks/intervals.py

The same data sets, measured with `calibtool.evaluate` and each `--ci`, and with the interval of
Sun, Chaudhari, Barnett and Dobriban, "A confidence interval for the l2 expected calibration error"
(2024, arXiv 2408.08998). All have the same bins and so the same truth. Writes
results/intervals.csv, shown by docs/evidence/coverage.md (made by coverage.py --simulations 0).
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from populations import POPULATIONS, SCENARIOS, Rows, draw
from truth import BINS, resolved, truth

import calibtool as ct

RESULTS = Path(__file__).parent / "results" / "intervals.csv"
METRICS = ("ece", "rmsce", "debiased-rmsce")
METHODS = {"ours": "inverted", "percentile": "percentile", "basic": "basic", "BCa": "bca"}
SUN = "Sun et al."
SIZES = (100, 1_000, 10_000)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """Coverage and mean width of one kind of interval in one cell."""

    metric: str
    population: str
    n: int
    method: str
    simulations: int
    truth: float
    covered: float
    above: float
    below: float
    width: float
    made: str


def sun(score: Floats, outcome: Floats, level: float = 0.95) -> tuple[float, float]:
    """The interval of Sun et al. for the l2 error, as its root: that of the square is taken to
    square roots at both ends.

    With U = outcome - score, m bins of equal width, and n_b rows in bin b of n, after their code
    (github.com/sylydya/CI-ECE, experiments/estimator.py and plot.ipynb):

    - T = sum over b of n_b / (n (n_b - 1)) (n_b mean(U)^2 - mean(U^2)), 0 for a single row;
    - sigma_1^2 = sum of n_b / n (4 mean(U)^2 mean(U^2) - 3 mean(U)^4)
      - (sum of n_b / n mean(U)^2)^2;
    - upper end: T+ + z_{1 - a/2} s with s = sigma_1 / sqrt(n) and T+ = max(T, 0);
    - lower end: T+ - z_{1 - a/2} s if T+ >= 2 z_{1 - a/2} s, T+ / 2 if T+ >= 2 z_{1 - a} s, and
      max(0, T+ - z_{1 - a} s) otherwise;
    - 0 belongs to it if T+ < z_{1 - a} sigma_0 / n, their test of calibration. They integrate
      sigma_0^2 = 2 (p (1 - p))^2 over all scores, divided by the width of a bin; here it is the sum
      over the bins that have rows, which is the same where all have.
    """
    normal = NormalDist()
    half, one = normal.inv_cdf((1 + level) / 2), normal.inv_cdf(level)
    n, at = len(score), np.minimum((score * BINS).astype(int), BINS - 1)
    rows = np.bincount(at, minlength=BINS).astype(float)
    filled = rows > 0
    residual = outcome - score

    def mean(x: Floats) -> Floats:
        return np.bincount(at, x, BINS)[filled] / rows[filled]

    gap, square, noise = mean(residual), mean(residual**2), mean(score * (1 - score))
    rows = rows[filled]
    unbiased = np.where(rows > 1, (rows * gap**2 - square) / np.maximum(rows - 1, 1), 0)
    t = max(float((rows * unbiased).sum() / n), 0.0)
    share = rows / n
    first = (share * (4 * gap**2 * square - 3 * gap**4)).sum() - (share * gap**2).sum() ** 2
    s = np.sqrt(max(first, 0.0) / n)
    if t >= 2 * half * s:
        low = t - half * s
    elif t >= 2 * one * s:
        low = t / 2
    else:
        low = max(0.0, t - one * s)
    if t < one * np.sqrt(2 * (noise[rows > 1] ** 2).sum()) / n:
        low = 0.0
    return float(np.sqrt(low)), float(np.sqrt(t + half * s))


def panel(rows: Rows, outcomes: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Scores and outcomes of the view that `ece` takes: confidence and hit, or P(class 1)."""
    if resolved("auto", rows) == "positive" or rows.kind == "confidence":
        return rows.score, outcomes.astype(float)
    top = rows.score.argmax(1)
    return rows.score.max(1), (top == outcomes).astype(float)


def measure(task: tuple[str, int, int, int]) -> dict[tuple[str, str], tuple[float, float]]:
    """The intervals of one data set, by metric and method."""
    name, n, index, resamples = task
    rng = np.random.default_rng([index, n, *name.encode()])
    rows = draw(rng, n, name)
    outcomes = rows.outcomes(rng)
    data = rows.predictions(outcomes)
    found = {}
    for method, ci in METHODS.items():
        report = ct.evaluate(data, METRICS, ci=ci, resamples=resamples, seed=index, threads=1)
        for metric in METRICS:
            low, high = report[metric].low, report[metric].high
            found[metric, method] = (np.nan, np.nan) if low is None else (low, high)
    if rows.weights is None:
        found["rmsce", SUN] = sun(*panel(rows, outcomes))
    return found


def summarised(
    name: str, n: int, sets: Sequence[dict[tuple[str, str], tuple[float, float]]]
) -> list[Row]:
    made = []
    for metric, method in sets[0]:
        low, high = np.array([one[metric, method] for one in sets]).T
        low, high = low[~np.isnan(low)], high[~np.isnan(low)]
        if not len(low):
            continue
        # all of rmsce's have its truth: what debiased-rmsce estimates is the same
        value = truth(name, metric)
        made.append(
            Row(
                metric,
                name,
                n,
                method,
                len(low),
                float(f"{value:.6g}"),
                round(float(((low <= value + 1e-9) & (value - 1e-9 <= high)).mean()), 4),
                round(float((low > value + 1e-9).mean()), 4),
                round(float((high < value - 1e-9).mean()), 4),
                float(f"{(high - low).mean():.4g}"),
                time.strftime("%Y-%m-%d %H:%M"),
            )
        )
    return made


def load() -> dict[tuple[str, int], list[Row]]:
    found: dict[tuple[str, int], list[Row]] = {}
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            for row in csv.DictReader(file):
                kinds = {field.name: field.type for field in fields(Row)}
                cast = {"int": int, "float": float, "str": str}
                one = Row(**{key: cast[str(kinds[key])](value) for key, value in row.items()})
                found.setdefault((one.population, one.n), []).append(one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--populations", nargs="*", default=[*POPULATIONS, "T=1", "T=1.3", "half"])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--again", action="store_true", help="also cells that were made before")
    options = parser.parse_args()
    known = {} if options.again else load()
    with multiprocessing.Pool(options.jobs) as pool:
        for n in options.sizes:
            for name in options.populations:
                done = known.get((name, n), [])
                if done and done[0].simulations >= options.simulations:
                    continue
                tasks = [(name, n, i, options.resamples) for i in range(options.simulations)]
                began = time.monotonic()
                rows = summarised(name, n, pool.map(measure, tasks, chunksize=5))
                known[name, n] = rows
                write(known)
                seconds = time.monotonic() - began
                print(f"{name}, n = {n:,}: {seconds:.0f} s", flush=True)


def write(found: dict[tuple[str, int], list[Row]]) -> None:
    order = [*POPULATIONS, *SCENARIOS]
    rows = [row for own in found.values() for row in own]
    rows.sort(key=lambda row: (METRICS.index(row.metric), order.index(row.population), row.n))
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


if __name__ == "__main__":
    main()
