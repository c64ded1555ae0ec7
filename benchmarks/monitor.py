"""How often `calibtool monitor` cries wolf, and how soon it finds a change.

    OMP_NUM_THREADS=1 nice python benchmarks/monitor.py [--streams 100] [-o FILE]

Streams of days are simulated from known curves and known score distributions. Every stream is
watched by both e-processes of calibtool/analysis/monitoring/evidence.py, and beside them by what
people do without them: a test a day, at 5 %. `naive` is the Hosmer-Lemeshow test of each day's
rows (10 groups of equal size, chi-squared with 10 degrees of freedom); `naive_first` compares
each day with the first, in the same 10 groups of scores, by the chi-squared test of the
difference in outcomes.

Null streams: the share that has ever raised an alarm by the last day. Changed streams: the change
comes on day 51; false alarms before it, the share found by the last day, the median delay in days.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

from calibtool.analysis.monitoring import evidence
from calibtool.analysis.monitoring.grid import FINE
from calibtool.metrics.cells import locate
from calibtool.types import Array

DAYS, CHANGE = 100, 50
SIZES = (50, 500, 5000)
ALPHAS = (0.05, 0.01)


def logit(p: Array) -> Array:
    return np.log(p) - np.log1p(-p)


def expit(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def still(random: np.random.Generator, n: int, day: int) -> Array:
    """Scores of one distribution."""
    return expit(random.normal(-1, 1.5, n))


def moving(random: np.random.Generator, n: int, day: int) -> Array:
    """Scores that move: a season, a trend, and on every tenth day another population."""
    centre = -1 + np.sin(day / 8) + day / 100
    return expit(random.normal(centre + (1.5 if day % 10 == 9 else 0), 1.5 - 0.005 * day, n))


def same(s: Array, day: int) -> Array:
    return s


def bent(s: Array, day: int) -> Array:
    """Never calibrated, always the same: too extreme, too low, and with a wave."""
    return expit(0.6 * logit(s) + 0.5 + 0.3 * np.sin(2 * logit(s)))


def steps(s: Array, day: int) -> Array:
    """Never calibrated, always the same: five steps, which no spline is."""
    return np.array([0.08, 0.25, 0.45, 0.6, 0.9])[np.minimum((s * 5).astype(int), 4)]


def after(change: Callable[[Array], Array]) -> Callable[[Array, int], Array]:
    return lambda s, day: change(s) if day >= CHANGE else s


NULLS = {
    "calibrated": (still, same),
    "calibrated, scores move": (moving, same),
    "bent": (still, bent),
    "bent, scores move": (moving, bent),
    "steps, scores move": (moving, steps),
}
CHANGES = {
    "temperature 1 to 1.3": after(lambda s: expit(logit(s) / 1.3)),
    "logits up by 0.2": after(lambda s: expit(logit(s) + 0.2)),
    "0.3 to 0.4 alone, up by 0.5": after(
        lambda s: expit(logit(s) + 0.5 * ((s > 0.3) & (s <= 0.4)))
    ),
}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--streams", type=int, default=100)
    arguments.add_argument("-o", default="benchmarks/results/monitor.json", metavar="FILE")
    arguments.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="ROWS")
    given = arguments.parse_args()
    began = time.time()
    cells: list[dict[str, Any]] = []

    def keep(kind: str, stream: str, rows: int, found: dict[str, Any]) -> None:
        cells.append({"kind": kind, "stream": stream, "rows": rows, **found})
        print(cells[-1], flush=True)
        about = {"date": time.strftime("%Y-%m-%d"), "seconds": round(time.time() - began)}
        record = {"days": DAYS, "change": CHANGE, "made_with": about, "cells": cells}
        Path(given.o).write_text(json.dumps(record, indent=1) + "\n")

    for n in given.sizes:
        for name, (scores, truth) in NULLS.items():
            alarms = [watch(n, scores, truth, seed) for seed in range(given.streams)]
            keep(
                "null",
                name,
                n,
                shares(alarms, calibrated="bent" not in name and "steps" not in name),
            )
        for name, truth in CHANGES.items():
            alarms = [watch(n, still, truth, 10_000 + seed) for seed in range(given.streams // 2)]
            keep("change", name, n, delays(alarms))


def watch(
    n: int, scores: Callable[..., Array], truth: Callable[[Array, int], Array], seed: int
) -> dict[str, int]:
    """The day of the first alarm of each watcher, from 0; DAYS for none."""
    random = np.random.default_rng([seed, n])
    counts, hits = np.zeros((DAYS, len(FINE))), np.zeros((DAYS, len(FINE)))
    naive, first = [], []
    for day in range(DAYS):
        s = scores(random, n, day)
        y = random.random(n) < truth(s, day)
        where = locate(s, FINE)
        counts[day] = np.bincount(where, minlength=len(FINE))
        hits[day] = np.bincount(where, y, len(FINE))
        naive.append(hosmer_lemeshow(s, y) < 0.05)
        first.append(groups(s, y))
    changed = evidence.of_change(FINE, counts, hits).log_e
    wrong = evidence.of_miscalibration(FINE, counts, hits).log_e
    apart = [day > 0 and differs(first[0], one) < 0.05 for day, one in enumerate(first)]
    found = {"naive": first_of(naive), "naive_first": first_of(apart)}
    for alpha in ALPHAS:
        found[f"change {alpha}"] = first_of(changed >= -np.log(alpha))
        found[f"calibrated {alpha}"] = first_of(wrong >= -np.log(alpha))
    return found


def hosmer_lemeshow(s: Array, y: Array) -> float:
    order = np.argsort(s)
    parts = np.array_split(order, 10)
    gaps = [(y[p].sum() - s[p].sum()) ** 2 / (s[p] * (1 - s[p])).sum() for p in parts]
    return float(chi2.sf(sum(gaps), 10))


def groups(s: Array, y: Array) -> tuple[Array, Array]:
    where = np.minimum((s * 10).astype(int), 9)
    return np.bincount(where, minlength=10), np.bincount(where, y, 10)


def differs(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    some = (one[0] > 0) & (two[0] > 0)
    (n, a), (m, b) = ((x[0][some], x[1][some]) for x in (one, two))
    rate = (a + b) / (n + m)
    spread = rate * (1 - rate) * (1 / n + 1 / m)
    known = spread > 0
    return float(chi2.sf(((a / n - b / m)[known] ** 2 / spread[known]).sum(), known.sum()))


def first_of(alarm: Any) -> int:
    found = np.flatnonzero(alarm)
    return int(found[0]) if len(found) else DAYS


def shares(alarms: list[dict[str, int]], *, calibrated: bool) -> dict[str, Any]:
    """The share of null streams with any alarm."""
    names = [name for name in alarms[0] if calibrated or not name.startswith("calibrated")]
    if not calibrated:
        names.remove("naive")
    return {
        "streams": len(alarms),
        "alarmed": {name: float(np.mean([one[name] < DAYS for one in alarms])) for name in names},
    }


def delays(alarms: list[dict[str, int]]) -> dict[str, Any]:
    """Of changed streams."""
    found: dict[str, Any] = {"streams": len(alarms)}
    for name in alarms[0]:
        days = np.array([one[name] for one in alarms])
        later = days[days >= CHANGE]  # without a false alarm before
        waits = np.where(later < DAYS, later - CHANGE + 1, np.inf)
        median = float(np.median(waits)) if len(waits) else np.inf
        found[name] = {
            "false": float((days < CHANGE).mean()),
            "found": float(((days >= CHANGE) & (days < DAYS)).mean()),
            "delay": median if np.isfinite(median) else None,
        }
    return found


if __name__ == "__main__":
    main()
