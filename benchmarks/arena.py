"""All calibrators and the peers' own, cross-fitted on the same folds.

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/arena.py [FOLDER]

The sets are the published predictions in FOLDER (../shared/data), the project's examples,
out-of-fold predictions of scikit-learn's models on its own data, and made ones whose true
probabilities are known. Of each, at most --rows rows are used. Measured are NLL, Brier score and
seconds (fit and apply, of all folds). A win rate is that of CalArena (arXiv 2605.30188): the share
of the other methods with a larger NLL (or Brier score), ties counting half, averaged over the sets.
Peers that are not installed are named and left out. mcgrad has the score as its only feature, since
these sets have no columns to calibrate by.

Writes results/arena.json, from which docs/evidence/calibrators.md shows the win rates.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from arena_peers import MISSING, FitPeer, peers
from speed import HERE, Floats, Ints, installed

import calibtool as ct
from calibtool.calibrators.confidences import as_classes
from calibtool.calibrators.registry import METHODS, finite_options
from calibtool.data.folds import stratified_folds
from calibtool.data.predictions import Predictions
from calibtool.data.rows import to_probs
from calibtool.errors import CalibtoolError
from calibtool.evaluation.subsample import draw_rows
from calibtool.reports.json import finite

RESULTS = HERE / "results" / "arena.json"
PUBLISHED = (
    *("cifar10_resnet20", "cifar100_resnet20", "sst2_gpt2", "fvcaus_plda"),
    *("toplabel_cifar10_resnet110", "toplabel_cifar100_resnet110"),
)
EXAMPLES = ("fashion_val.npz", "digits_binary.parquet", "visits.parquet", "answers.csv")
FOLDS = 5
MORE = ("netcal", "mcgrad", "lightgbm")
NEAR = 1e-4  # nats by which we may be behind a peer of the same name: its optimiser stops early
# peer -> the calibrator of ours that is the same
SAME = {
    "probmetrics quadratic": "quadratic",
    "probmetrics affine": "platt",
    "probmetrics temperature": "temperature",
    "probmetrics svs": "structured-vector",
    "probmetrics sms": "structured-matrix",
    "betacal": "beta",
    "scikit-learn temperature": "temperature",
    "netcal temperature": "temperature",
    "netcal logistic": "platt",
    "netcal beta": "beta",
}


@dataclass(frozen=True)
class Set:
    """Predictions, and the true probabilities if they are known."""

    name: str
    rows: Predictions
    truth: Floats | None = None


# ------------------------------------------------------------------ sets


def sets(folder: Path, most: int) -> Iterator[Set]:
    """All sets, of at most so many rows."""
    yield from made(500)
    yield from trained()
    for name in EXAMPLES:
        p = as_classes(ct.load(HERE.parent / "docs" / "examples" / name))
        yield Set(name.partition(".")[0], draw_rows(p, most))
    for path in [folder / f"{name}.npz" for name in PUBLISHED]:
        if path.exists():
            yield Set(path.stem, draw_rows(as_classes(ct.load(path)), most))
    yield from made(most)


def trained() -> Iterator[Set]:
    """Out-of-fold predictions of scikit-learn's models on the data that come with it."""
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models = {
        "bayes": GaussianNB(var_smoothing=1e-3),
        "forest": RandomForestClassifier(50, random_state=0),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=100, max_iter=2000)),
    }
    data = {"cancer": load_breast_cancer, "digits": load_digits, "wine": load_wine}
    for source, load in data.items():
        x, y = load(return_X_y=True)
        for model, made_by in models.items():
            p = cross_val_predict(made_by, x, y, cv=5, method="predict_proba")
            yield Set(f"{source}_{model}", Predictions.from_probs(p, y))


def made(n: int) -> Iterator[Set]:
    """Two classes: log-odds that are off in known ways; outcomes from the true probabilities."""
    warps: dict[str, Callable[[Floats], Floats]] = {
        "calibrated": lambda x: x,
        "overconfident": lambda x: x / 2,
        "shifted": lambda x: x - 1.5,
        "one-sided": lambda x: np.where(x > 0, 0.4 * x, x),
        "wavy": lambda x: x + 0.8 * np.sin(2 * x),
        "steps": lambda x: 1.5 * np.round(x / 1.5),
    }
    for k, (name, warp) in enumerate(warps.items()):
        rng = np.random.Generator(np.random.PCG64([k, n]))
        x = rng.normal(-0.5, 2, n)
        truth = 1 / (1 + np.exp(-warp(x)))
        rows = Predictions.from_logits(x, rng.random(n) < truth)
        yield Set(f"made_{name}_{n}", rows, np.stack([1 - truth, truth], axis=1))


# ------------------------------------------------------------------ methods


def ours(method: str) -> Callable[[Predictions, Predictions], Floats]:
    """Fit a calibrator of ours, and apply it; "nothing" is none."""

    def run(fit: Predictions, test: Predictions) -> Floats:
        if method == "nothing":
            return matrix(test)
        return matrix(ct.fit(method, fit, **finite_options(method))(test))

    return run


def theirs(peer: FitPeer) -> Callable[[Predictions, Predictions], Floats]:
    """Fit a peer's calibrator to probabilities, and apply it."""

    def run(fit: Predictions, test: Predictions) -> Floats:
        assert fit.labels is not None
        return np.asarray(peer(matrix(fit), fit.labels)(matrix(test)), np.float64)

    return run


def matrix(p: Predictions) -> Floats:
    """Probabilities in float64, whose rows sum to 1."""
    probs = to_probs(p).matrix().astype(np.float64)
    return np.asarray(probs / probs.sum(axis=1, keepdims=True))


# ------------------------------------------------------------------ the race


def race(one: Set) -> dict[str, Any]:
    """NLL, Brier score and seconds of every method on a set."""
    rows, classes = one.rows, int(one.rows.classes or 0)
    assert rows.labels is not None
    fold = stratified_folds(rows.labels, FOLDS, seed=0)
    entries = {name: ours(name) for name in ("nothing", *METHODS)}
    entries |= {name: theirs(peer) for name, peer in peers(classes)}
    found: dict[str, Any] = {}
    for name, run in entries.items():
        probs, began = np.empty((rows.rows, classes)), time.perf_counter()
        try:
            for k in range(FOLDS):
                fit, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    probs[test] = run(rows.take(fit), rows.take(test))
        except (CalibtoolError, ValueError, IndexError, RuntimeError) as error:
            found[name] = {"failed": f"{type(error).__name__}: {error}"[:200]}
            continue
        found[name] = scores(probs, rows.labels) | {
            "seconds": round(time.perf_counter() - began, 3)
        }
    if one.truth is not None:
        found["the truth"] = scores(one.truth, rows.labels)
    return {"name": one.name, "rows": rows.rows, "classes": classes, "methods": found}


def scores(probs: Floats, labels: Ints) -> dict[str, Any]:
    """NLL in nats, and the Brier score, of two classes that of class 1."""
    at = probs[np.arange(len(labels)), labels]
    with np.errstate(divide="ignore"):
        nll = float(-np.log(at).mean())
    hot = np.eye(probs.shape[1])[labels]
    half = 2 if probs.shape[1] == 2 else 1
    brier = float(((probs - hot) ** 2).sum(axis=1).mean() / half)
    return {"nll": finite(nll), "brier": brier}


def win_rates(found: list[dict[str, Any]], score: str) -> dict[str, float]:
    """The mean share of the other methods with a larger score, ties counting half. A method that
    fails on a set loses to all that do not."""
    rates: dict[str, list[float]] = {}
    for one in found:
        nll = {
            m: float(v.get(score, np.inf)) for m, v in one["methods"].items() if m != "the truth"
        }
        for name, own in nll.items():
            others = np.array([x for other, x in nll.items() if other != name])
            rates.setdefault(name, []).append(
                float(np.mean((own < others) + 0.5 * (own == others)))
            )
    means = {name: float(np.mean(x)) for name, x in rates.items()}
    return dict(sorted(means.items(), key=lambda pair: -pair[1]))


def behind(found: list[dict[str, Any]]) -> list[str]:
    """Where ours is behind its peer of the same name by more than NEAR."""
    told = []
    for one in found:
        for peer, own in SAME.items():
            theirs, mine = (
                float(one["methods"].get(m, {}).get("nll", np.inf)) for m in (peer, own)
            )
            if own not in refused(one) and mine > theirs + NEAR:
                told.append(f"{one['name']}: {own} {mine:.5f}, {peer} {theirs:.5f}")
    return told


def refused(one: dict[str, Any]) -> list[str]:
    """The methods that could not be fitted to a set."""
    return [name for name, found in one["methods"].items() if "failed" in found]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", default=str(HERE.parents[1] / "shared" / "data"))
    asked.add_argument("--rows", type=int, default=3000)
    asked.add_argument("--only", default="")
    options = asked.parse_args()
    load, found = os.getloadavg()[0], []
    logging.disable(logging.WARNING)  # mcgrad's, of every fit
    for one in sets(Path(options.folder), options.rows):
        if options.only in one.name:
            began = time.perf_counter()
            found.append(race(one))
            print(f"{one.name:30} {time.perf_counter() - began:6.1f} s", flush=True)
            write(found, options.rows, load)  # what there is, should the run be stopped
    print("\n".join(behind(found)) or "nowhere behind a peer of the same name")


def write(found: list[dict[str, Any]], rows: int, load: float) -> None:
    """Write the results so far."""
    groups = {
        "two classes": [one for one in found if one["classes"] == 2],
        "more classes": [one for one in found if one["classes"] > 2],
    }
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(load, 2),
        "python": platform.python_version(),
        "rows": rows,
        "versions": {
            name: installed(name)
            for name in ("calibtool", "numpy", "scikit-learn", "probmetrics", "betacal", *MORE)
        },
        "missing": MISSING,
        "win_rates": {name: win_rates(own, "nll") for name, own in groups.items() if own},
        "win_rates_brier": {name: win_rates(own, "brier") for name, own in groups.items() if own},
        "behind": behind(found),
        "refused": {one["name"]: refused(one) for one in found if refused(one)},
        "sets": found,
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
