"""How often `calibtool monitor` cries wolf, and how soon it finds a change.

    OPENBLAS_NUM_THREADS=1 nice python benchmarks/monitor.py [--null 2000] [--changed 100]
        [--kind KIND] [--beside FOLDER] [--processes N] [-o FILE]

Streams of days are simulated from known curves and known score distributions. Every stream is
watched by both kinds of evidence of calibtool/analysis/monitoring/evidence.py, and, the first 100
null streams of each line, by what people do without them: a test a day, at 5 %. `naive` is the
Hosmer-Lemeshow test of each day's rows (10 groups of equal size, chi-squared with 10 degrees of
freedom); `naive_first` compares each day with the first, in the same 10 groups of scores, by the
chi-squared test of the difference in outcomes.

--beside names the folder calibtool/analysis/monitoring of an earlier version with another test of
"nothing has changed" (that of 400d536 was universal inference), which watches the same changed
streams, 12 of each line. --kind null or change measures one of the two tables alone, and keeps the
other as FILE has it.

Null streams: the share that has ever raised an alarm by the last day. Changed streams: the change
comes on day 51; false alarms before it, the share found by the last day and within 20 days, the
median delay in days.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from scipy.stats import chi2

import calibtool.analysis.monitoring as package
from calibtool.analysis.monitoring import evidence
from calibtool.analysis.monitoring.grid import COARSE
from calibtool.metrics.cells import locate
from calibtool.streaming.grid import NAMED, grid, named
from calibtool.types import Array

DAYS, CHANGE = 100, 50
KINDS = ("change", "null")
ALPHAS = (0.05, 0.01)
SOON = 20  # days within which a small change should be found
NAIVE, BESIDE = 100, 12  # streams of a line that are also watched by others, which take longer
CELLS = grid(named(*NAMED)).at  # those of `calibtool monitor`


def logit(p: Array) -> Array:
    return np.log(p) - np.log1p(-p)


def expit(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


# ------------------------------------------------------------------ scores: (D, N) per day


def normal(centre: float, spread: float) -> Callable[[np.random.Generator, int], Array]:
    """Scores of one distribution, with normal log-odds."""
    return lambda random, n: expit(random.normal(centre, spread, (DAYS, n)))


def moving(random: np.random.Generator, n: int) -> Array:
    """Scores that move: a season, a trend, and on every tenth day another population."""
    day = np.arange(DAYS)[:, None]
    centre = -1 + np.sin(day / 8) + day / 100 + 1.5 * (day % 10 == 9)
    return expit(random.normal(centre, 1.5 - 0.005 * day, (DAYS, n)))


def confidences(random: np.random.Generator, n: int) -> Array:
    """Confidences of ten classes: the largest of ten probabilities."""
    weights = np.exp(random.normal(0, 2, (DAYS, n, 10)))
    return weights.max(-1) / weights.sum(-1)


# ------------------------------------------------------------------ P(y = 1 | score)


def same(s: Array) -> Array:
    return s


def bent(s: Array) -> Array:
    """Never calibrated, always the same: too extreme, too low, and with a wave."""
    return expit(0.6 * logit(s) + 0.5 + 0.3 * np.sin(2 * logit(s)))


def steps(s: Array) -> Array:
    """Never calibrated, always the same: five steps."""
    return np.array([0.08, 0.25, 0.45, 0.6, 0.9])[np.minimum((s * 5).astype(int), 4)]


def up(by: float) -> Callable[[Array], Array]:
    return lambda s: expit(logit(s) + by)


def cooler(s: Array) -> Array:
    return expit(logit(s) / 1.3)


def place(s: Array) -> Array:
    return expit(logit(s) + 0.5 * ((s > 0.3) & (s <= 0.4)))


@dataclass(frozen=True)
class Line:
    """A line of the tables: streams of one kind, without a change or with one."""

    name: str
    rows: int
    scores: Callable[[np.random.Generator, int], Array]
    before: Callable[[Array], Array] = same
    after: Callable[[Array], Array] | None = None
    reacts: bool = False
    streams: int | None = None  # by default what the command line says


PLAIN = normal(-1, 1.5)
RATES = {"0.5": normal(0, 1.5), "0.1": normal(-2.8, 1.3), "0.02": normal(-4.6, 1.2)}
LINES = (
    *(Line(f"calibrated, frequency {rate}", 1000, scores) for rate, scores in RATES.items()),
    Line("confidences of 10 classes", 1000, confidences),
    Line("calibrated, scores move", 1000, moving),
    *(
        Line(name, rows, scores, truth, streams=streams)
        for name, rows, scores, truth, streams in (
            ("bent, scores move", 1000, moving, bent, 500),
            ("steps, scores move", 1000, moving, steps, 500),
            ("bent, scores move", 50, moving, bent, 500),
            ("bent, scores move", 5000, moving, bent, 100),
        )
    ),
    Line("numbers of rows react to outcomes", 1000, PLAIN, reacts=True, streams=500),
    *(
        Line(f"log-odds up by {by}, frequency {rate}", 1000, scores, after=up(by))
        for by in (0.1, 0.2)
        for rate, scores in RATES.items()
    ),
    *(
        Line(f"confidences of 10 classes, log-odds down by {by}", 1000, confidences, after=up(-by))
        for by in (0.1, 0.2)
    ),
    *(
        Line(name, rows, PLAIN, after=after, streams=streams)
        for rows, streams in ((50, 40), (500, 40), (1000, None), (5000, 20))
        for name, after in (
            ("log-odds up by 0.2", up(0.2)),
            ("temperature 1 to 1.3", cooler),
            ("0.3 to 0.4 alone, up by 0.5", place),
        )
    ),
)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--null", type=int, default=2000, metavar="STREAMS")
    arguments.add_argument("--changed", type=int, default=100, metavar="STREAMS")
    arguments.add_argument("--kind", choices=KINDS)
    arguments.add_argument("--beside", metavar="FOLDER")
    arguments.add_argument("--processes", type=int, default=1, metavar="N")
    arguments.add_argument("-o", default="benchmarks/results/monitor.json", metavar="FILE")
    given = arguments.parse_args()
    began = time.time()
    pool = Pool(given.processes)
    file = Path(given.o)
    for kind in KINDS if given.kind is None else (given.kind,):
        cells: list[dict[str, Any]] = []
        for number, line in enumerate(LINES):
            if (line.after is None) != (kind == "null"):
                continue
            count = line.streams or (given.null if kind == "null" else given.changed)
            beside = given.beside if kind == "change" else None
            tasks = [(number, seed, beside) for seed in range(count)]
            alarms = pool.starmap(watch, tasks, chunksize=5)
            found = shares(alarms) if kind == "null" else delays(alarms)
            cells.append({"kind": kind, "stream": line.name, "rows": line.rows, **found})
            print(cells[-1], flush=True)
            about = {"date": time.strftime("%Y-%m-%d"), "seconds": round(time.time() - began)}
            before = json.loads(file.read_text())["cells"] if file.exists() else []
            others = [cell for cell in before if cell["kind"] != kind]
            record = {"days": DAYS, "change": CHANGE, "soon": SOON, "made_with": about}
            file.write_text(json.dumps({**record, "cells": others + cells}, indent=1) + "\n")


@cache
def earlier(folder: str) -> ModuleType:
    """The module `evidence` of another version."""
    prefix = f"{package.__name__}."
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(prefix)}
    here, package.__path__ = package.__path__, [folder]
    theirs = importlib.import_module(f"{prefix}evidence")
    for name in [name for name in sys.modules if name.startswith(prefix)]:
        del sys.modules[name]
    package.__path__ = here
    sys.modules.update(ours)
    return theirs


def watch(number: int, seed: int, beside: str | None) -> dict[str, int]:
    """The day of the first alarm of each watcher of a stream, from 0; DAYS for none."""
    line, old = LINES[number], earlier(beside) if beside else None
    null = line.after is None
    random = np.random.default_rng([seed, line.rows, null])
    s = line.scores(random, line.rows)
    truth = line.before(s).copy()
    if line.after:
        truth[CHANGE:] = line.after(s[CHANGE:])
    y = random.random(s.shape) < truth
    used = np.ones(s.shape, bool)
    if line.reacts:  # after a day with many hits there are half as many rows, of low scores
        busy = np.append(False, y.mean(1)[:-1] > np.median(y.mean(1)))
        used[busy] = np.argsort(np.argsort(s[busy], axis=1), axis=1) < line.rows // 2
    cells = CELLS if old else COARSE  # to which evidence pools all others
    at = (locate(s.ravel(), cells).reshape(s.shape) + len(cells) * np.arange(DAYS)[:, None])[used]
    n, p, hits = (
        np.bincount(at, weights, DAYS * len(cells)).reshape(DAYS, -1).astype(float)
        for weights in (None, s[used], y[used])
    )
    processes = {"change": evidence.of_change(cells, n, hits)}
    if line.before is same:
        processes["calibrated"] = evidence.of_miscalibration(cells, n, p, hits)
    if old and seed < BESIDE:
        processes["old change"] = old.of_change(cells, n, hits)
        processes["old calibrated"] = old.of_miscalibration(cells, n, hits)
    found = {
        f"{name} {alpha}": first_of(process.log_e >= -np.log(alpha))
        for name, process in processes.items()
        for alpha in ALPHAS
    }
    if null and seed < NAIVE and not line.reacts:
        days = [groups(*day) for day in zip(s, y, strict=True)]
        found["naive_first"] = first_of([differs(days[0], day) < 0.05 for day in days[1:]])
        if line.before is same:
            found["naive"] = first_of([hosmer_lemeshow(*d) < 0.05 for d in zip(s, y, strict=True)])
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


def by_watcher(alarms: list[dict[str, int]]) -> dict[str, Array]:
    """The days of the alarms of each watcher, of the streams that it has watched."""
    names = dict.fromkeys(name for one in alarms for name in one)
    return {name: np.array([one[name] for one in alarms if name in one]) for name in names}


def shares(alarms: list[dict[str, int]]) -> dict[str, Any]:
    """The share of null streams with any alarm."""
    days = by_watcher(alarms)
    return {
        "streams": len(alarms),
        "alarmed": {name: float((each < DAYS).mean()) for name, each in days.items()},
    }


def delays(alarms: list[dict[str, int]]) -> dict[str, Any]:
    """How soon changed streams raise an alarm."""
    found: dict[str, Any] = {"streams": len(alarms)}
    for name, days in by_watcher(alarms).items():
        later = days[days >= CHANGE]  # without a false alarm before
        waits = np.where(later < DAYS, later - CHANGE + 1, np.inf)
        median = float(np.median(waits)) if len(waits) else np.inf
        found[name] = {
            "streams": len(days),
            "false": float((days < CHANGE).mean()),
            "found": float(((days >= CHANGE) & (days < DAYS)).mean()),
            "soon": float(((days >= CHANGE) & (days < CHANGE + SOON)).mean()),
            "delay": median if np.isfinite(median) else None,
        }
    return found


if __name__ == "__main__":
    main()
