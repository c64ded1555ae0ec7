"""Do thresholds keep their promise, and what does it cost?

    nice python benchmarks/guarantees.py [--simulations N] [--real FOLDER]

Each data set has n rows, the most confident first of which are wrong least often; the true risk of
what a threshold accepts is known. Of the data sets, `broken` is the share whose true risk exceeds
the target: at most delta, 5 %. `coverage` is the mean share of new rows that is accepted, `best`
what the threshold of the known truth accepts, `none` the share of data sets without a threshold.
Beside it, on the same data sets: `naive` takes the most rows whose measured risk is at most the
target; `sgr` is Geifman & El-Yaniv's search (2017); `bonferroni` tests the same grid at once.

The data: in "smooth" the risk grows with the share accepted, and three times the target is reached
where all rows are; in "ties" the same confidences are rounded to 20 values; in "boundary" the risk
is above the target by a hair whatever is accepted, so that every threshold breaks the promise; in
"bad top" the most confident tenth is wrong most; in "weights" half of the rows weigh three times as
much, and are wrong more often; in "groups" four groups have a threshold each, of which the worst
counts. `tests` has the power of tests of one mean: exact, bets, and Hoeffding-Bentkus's bound
(Bates et al. 2021). With --real alone, published predictions (the folder of `calibrators.py
quality`, and two files of confidences) are split at random 200 times: some rows choose, the others
are decided. Writes results/guarantees.json.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from scipy.special import bdtr

import calibtool as ct
from calibtool.decisions.bounds import evidence
from calibtool.decisions.choose import levels
from calibtool.decisions.losses import Losses, losses_of
from calibtool.decisions.point import Search
from calibtool.decisions.sequence import GRID, sequence
from calibtool.decisions.target import Target

HERE = Path(__file__).parent
DELTA = 0.05
SIZES = (100, 1000, 5000)
RISKS = (0.01, 0.05, 0.1)
WORLDS = ("smooth", "ties", "boundary", "bad top", "weights", "groups")
TIES = 20
GROUPS = 4
HEAVY, LIGHT = 1.5, 0.5
FINE = np.arange(1, 20001) / 20000  # shares at which the true risk is computed


def rate(world, target, share):
    """The true error rate of the row at a share of the rows, the most confident first."""
    if world == "boundary":
        return np.full_like(share, target * (1 + 1e-9))
    if world == "bad top":
        return target * np.where(share < 0.1, 2.5, np.where(share < 0.5, 0.5, 1.6))
    return 9 * target * share**2  # of the first c: 3 target c**2


def truth(world, target):
    """The true risk of the first rows, at the shares of FINE."""
    middle = FINE - 0.5 / len(FINE)
    risk = np.cumsum(rate(world, target, middle)) / np.arange(1, len(FINE) + 1)
    if world != "ties":
        return FINE, risk
    whole = np.arange(1, TIES + 1) / TIES  # thresholds lie between the values
    return whole, risk[(whole * len(FINE)).round().astype(int) - 1]


def drawn(rng, world, target, n):
    """Scores, which are 1 - the share before each row, losses and weights."""
    share = rng.random(n)
    wrong = rate(world, target, share)
    weights = None
    if world == "weights":
        heavy = rng.random(n) < 0.5
        weights = np.where(heavy, HEAVY, LIGHT)
        wrong = wrong * np.where(heavy, (2 - LIGHT * 0.5) / HEAVY, 0.5)  # the weighted mean stays
    losses = (rng.random(n) < wrong).astype(float)
    if world == "ties":
        share = np.ceil(share * TIES) / TIES - 0.5 / TIES
    return Losses(1 - share, losses, weights, np.ones(n, bool))


def accepted(world, line):
    """The share of new rows beyond a threshold."""
    share = 1 - line
    if world != "ties":
        return min(max(share, 0.0), 1.0)
    return np.floor(share * TIES + 0.5) / TIES


def naive(rows, target):
    """The most rows whose measured risk is at most the target: the score of the last."""
    order = np.argsort(-rows.scores, kind="stable")
    scores, weights = rows.scores[order], rows.weights
    w = np.ones(len(order)) if weights is None else weights[order]
    measured = np.cumsum(w * rows.losses[order]) / np.cumsum(w)
    whole = np.append(scores[:-1] != scores[1:], True)
    fits = np.flatnonzero((measured <= target) & whole)
    return scores[fits[-1]] if len(fits) else None


def sgr(rows, target):
    """Geifman & El-Yaniv 2017, algorithm 1: a binary search, each step at delta / ceil(log2 n)."""
    order = np.argsort(-rows.scores, kind="stable")
    scores, losses = rows.scores[order], np.cumsum(rows.losses[order])
    steps = math.ceil(math.log2(len(scores)))
    low, high, found = 0, len(scores) - 1, None
    for _ in range(steps):
        at = math.ceil((low + high) / 2)
        end = np.searchsorted(-scores, -scores[at], side="right")  # equal scores are together
        if bdtr(losses[end - 1], end, target) <= DELTA / steps:
            low, found = at, scores[at]
        else:
            high = at
    return found


def bonferroni(rows, target):
    """All tests of the same grid at once, each at its part of delta."""
    order = np.argsort(-rows.scores, kind="stable")
    scores = rows.scores[order]
    sizes = sequence(scores, target, DELTA).sizes
    if not len(sizes):
        return None
    found = evidence(
        rows.losses[order], None if rows.weights is None else rows.weights[order], target
    )
    whole = np.append(scores[:-1] != scores[1:], True)[sizes - 1]
    passes = sizes[whole & (found.p_values(sizes) <= DELTA / GRID)]
    return scores[passes[-1] - 1] if len(passes) else None


def ours(rows, target, seed):
    """The line of each of the groups, or of all rows."""
    goal = Target("risk", target)
    many = GROUPS if rows.weights is None and seed[0] == "groups" else 1
    part = np.arange(len(rows.scores)) % many
    searches = {
        str(k): Search.of(rows.take(part == k), goal, DELTA / many, seed[1]) for k in range(many)
    }
    lines = []
    for name, level in levels(searches, DELTA).items():
        size = searches[name].size(level)
        lines.append(None if size is None else searches[name].line(size))
    return lines


def cell(world, n, target, simulations):
    rng = np.random.default_rng([WORLDS.index(world), n, round(1 / target)])
    at, risk = truth(world, target)
    good = np.flatnonzero(risk <= target)
    best = float(at[good[-1]]) if len(good) else 0.0
    results = {}

    def note(method, lines):
        shares = [0.0 if line is None else accepted(world, line) for line in lines]
        broken = [
            share > 0 and np.interp(share, at, risk) > target * (1 + 1e-12) for share in shares
        ]
        results.setdefault(method, []).append(
            [any(broken), np.mean(shares), np.mean([line is None for line in lines])]
        )

    for k in range(simulations):
        rows = drawn(rng, world, target, n)
        note("ours", ours(rows, target, (world, k)))
        if world != "groups":
            note("naive", [naive(rows, target)])
            note("bonferroni", [bonferroni(rows, target)])
            if world != "weights":
                note("sgr", [sgr(rows, target)])
    measured = {"data": world, "n": n, "risk": target, "simulations": simulations}
    measured["best"] = round(best, 4)
    for method, values in results.items():
        means = np.mean(values, axis=0).round(4).tolist()
        measured[method] = dict(zip(("broken", "coverage", "none"), means, strict=True))
    return measured


def hoeffding_bentkus(losses, weights, risk):
    x = weights / weights.max() * (losses - risk) + risk
    n, mean = len(x), min(x.mean(), risk)
    h = (mean * math.log(mean / risk) if mean > 0 else 0) + (1 - mean) * math.log(
        (1 - mean) / (1 - risk)
    )
    return min(math.exp(-n * h), math.e * bdtr(math.ceil(n * x.mean()), n, risk), 1.0)


def power(weighting, n, part, simulations, risk=0.05):
    """How often each test proves a risk where the true one is a part of it."""
    rng = np.random.default_rng([n, round(100 * part), len(weighting)])
    proven = []
    for _ in range(simulations):
        losses = (rng.random(n) < part * risk).astype(float)
        weights = {
            "none": np.ones(n),
            "0.5 to 1.5": rng.uniform(0.5, 1.5, n),
            "1 or 4": rng.choice([1.0, 4.0], n),
        }[weighting]
        bets = evidence(losses, weights + (1e-12 * (np.arange(n) == 0)), risk)
        proven.append(
            [
                bdtr(losses.sum(), n, risk) if weighting == "none" else 1.0,
                bets.p_values(np.array([n]))[0],
                hoeffding_bentkus(losses, weights, risk),
            ]
        )
    exact, bet, bound = (np.array(proven) <= DELTA).mean(0).round(4).tolist()
    return {
        "weights": weighting,
        "n": n,
        "risk": risk,
        "true": part * risk,
        "exact": exact if weighting == "none" else None,
        "bets": bet,
        "hoeffding_bentkus": bound,
    }


REAL = (
    *("cifar10_resnet20", "cifar100_resnet20", "sst2_gpt2", "fvcaus_plda"),
    *("toplabel_cifar10_resnet110", "toplabel_cifar100_resnet110"),
)
CHOOSING = 2000  # rows that choose; half of a smaller file
SPLITS = 200


def real(folder):
    """What thresholds from some rows of published files do on the others."""
    found = []
    for name in REAL:
        rows = ct.load(folder / f"{name}.npz")
        every = losses_of(rows, Target("risk", 0.05), None)
        n = min(CHOOSING, rows.rows // 2)
        for target in (0.01, 0.05):
            shares = []
            for seed in range(SPLITS):
                order = np.random.default_rng(seed).permutation(rows.rows)
                first, rest = every.take(order[:n]), every.take(order[n:])
                search = Search.of(first, Target("risk", target), DELTA, seed)
                size = search.size(DELTA)
                if size is None:
                    continue
                taken = rest.scores >= search.line(size)
                shares.append([taken.mean(), rest.losses[taken].mean()])
            coverage, risk = np.mean(shares, axis=0).round(4).tolist() if shares else (0.0, None)
            found.append(
                {
                    "data": name,
                    "choosing": n,
                    "others": rows.rows - n,
                    "risk": target,
                    "none": 1 - len(shares) / SPLITS,
                    "coverage": coverage,
                    "measured": risk,
                    "whole": round(float(every.losses.mean()), 4),
                }
            )
            print(found[-1], flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--real", type=Path)
    given = parser.parse_args()
    path = HERE / "results" / "guarantees.json"
    if given.real:
        document = json.loads(path.read_text()) | {"real": real(given.real)}
        path.write_text(json.dumps(document, indent=1) + "\n")
        return
    cells = []
    for world in WORLDS:
        for n in SIZES:
            for target in RISKS:
                cells.append(cell(world, n, target, given.simulations))
                print(cells[-1], flush=True)
    tests = [
        power(weighting, n, part, given.simulations)
        for weighting in ("none", "0.5 to 1.5", "1 or 4")
        for n in (100, 300, 1000, 3000)
        for part in (0.2, 0.5)
    ]
    document = {
        "date": time.strftime("%Y-%m-%d"),
        "delta": DELTA,
        "cells": cells,
        "tests": tests,
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
