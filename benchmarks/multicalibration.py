"""Does fit-multicalibration repair slices, beside mcgrad (Meta) on the same rows?

    OMP_NUM_THREADS=1 python benchmarks/multicalibration.py [--seeds N] [--alarms]

On made data the true probabilities are known: the NLL of fresh rows lies between that before and
that of the truth. The worst slice is mce-slices of the fresh rows, by three columns and their
pairs. On `visits`, half of the users are fitted and the other half measured. Seconds are of the
processor, one thread, in one run. Writes results/multicalibration.json; mcgrad is needed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import expit, log_expit

import calibtool as ct
from calibtool.analysis.slice_search import search_slices

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "multicalibration.json"
COLUMNS = ("country", "device", "age")
SIZES = (3000, 20_000)
FRESH = 50_000


def columns(rng, n):
    """Two columns of texts and one of numbers."""
    return {
        "country": rng.choice(list("abcdefgh"), n, p=[0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.04, 0.01]),
        "device": rng.choice(["phone", "laptop", "tablet"], n, p=[0.6, 0.25, 0.15]),
        "age": rng.normal(40, 12, n),
    }


def one(z, of):
    """One pair of values is off."""
    return z - 1.0 * ((of["country"] == "b") & (of["device"] == "laptop"))


def three(z, of):
    """Two slices and a pair are off."""
    return one(z, of) + 0.5 * (of["country"] == "a") - 0.6 * (of["age"] > 55)


def slopes(z, of):
    """As three, and the scores of one device are twice as far from 0 as they should be."""
    return np.where(of["device"] == "tablet", 0.5, 1.0) * three(z, of)


def smooth(z, of):
    """The log-odds are off by a straight line in the age."""
    return z + 0.03 * (of["age"] - 40)


# name -> mean and scale of the log-odds, what they truly are, and by what they are multiplied
POPULATIONS = {
    "nothing off": (-0.5, 1.2, lambda z, _: z, 1.0),
    "one pair": (-0.5, 1.2, one, 1.0),
    "three slices": (-0.5, 1.2, three, 1.0),
    "slices and slopes": (-0.5, 1.2, slopes, 1.0),
    "overconfident, slices": (-0.5, 1.2, three, 2.0),
    "a line in age": (-0.5, 1.2, smooth, 1.0),
    "rare outcomes, slices": (-4.0, 1.0, three, 1.0),
}


def made(name, rng, n):
    """Predictions, and their true log-odds."""
    mean, scale, truth, times = POPULATIONS[name]
    of = columns(rng, n)
    z = mean + scale * rng.normal(size=n)
    true = truth(z, of)
    p = ct.Predictions.from_probs(expit(times * z), (rng.random(n) < expit(true)).astype(int))
    return replace(p, extra=of), true


def ours(fit, test, cluster):
    """P(class 1) of the test rows by fit-multicalibration, and the number of patches."""
    fitted = ct.fit("multicalibration", fit, by=",".join(COLUMNS), cluster=cluster)
    return scores(fitted(test)), len(fitted.map.patches)


def theirs(fit, test, _):
    """P(class 1) of the test rows by mcgrad, with its defaults, and the number of its rounds. It
    knows no clusters."""
    import pandas as pd
    from mcgrad.methods import MCGrad

    def frame(p):
        return pd.DataFrame({**{k: p.extra[k] for k in COLUMNS}, "p": scores(p), "y": p.labels})

    texts = [k for k in COLUMNS if fit.extra[k].dtype.kind not in "iuf"]
    numbers = [k for k in COLUMNS if k not in texts]
    model = MCGrad()
    names = {"categorical_feature_column_names": texts, "numerical_feature_column_names": numbers}
    model.fit(frame(fit), "p", "y", **names)
    return np.asarray(model.predict(frame(test), "p", **names)), model.num_rounds_trained


def scores(p):
    """P(class 1), float64."""
    return p.matrix()[:, 1].astype(float)


def nll(p, labels):
    """Mean NLL in nats."""
    return float(-np.mean(np.log(np.where(labels == 1, p, 1 - p))))


def worst(test, p):
    """mce-slices of the test rows with these probabilities."""
    return search_slices(replace(test, values=np.asarray(p)[:, None]), COLUMNS).error.value


def measured(fit, test, true=None, cluster=None):
    """What both make of the test rows."""
    before = scores(test)
    found = {"nll": nll(before, test.labels), "worst": worst(test, before)}
    if true is not None:
        signs = np.where(test.labels == 1, true, -true)
        found["truth"] = float(-np.mean(log_expit(signs)))
    for name, method in (("ours", ours), ("mcgrad", theirs)):
        began = time.process_time()
        after, rounds = method(fit, test, cluster)
        seconds = time.process_time() - began
        found[name] = {
            "nll": nll(after, test.labels),
            "worst": worst(test, after),
            "seconds": seconds,
            "rounds": int(rounds),
        }
    return found


def visits():
    """The made visits of `calibtool example`: users of even and of odd number."""
    file = HERE.parent / "docs" / "examples" / "visits.parquet"
    p = ct.load(str(file), extra=[*COLUMNS, "user_id"])
    even = p.extra["user_id"] % 2 == 0
    return p.take(np.flatnonzero(even)), p.take(np.flatnonzero(~even))


def alarms(sets, n):
    """How often anything is changed where nothing is off, and what that costs on fresh rows."""
    losses = []
    for seed in range(sets):
        rng = np.random.default_rng([6, n, seed])
        fit, _ = made("nothing off", rng, n)
        test, _ = made("nothing off", rng, FRESH)
        after = scores(ct.fit("multicalibration", fit, by=",".join(COLUMNS))(test))
        losses.append(nll(after, test.labels) - nll(scores(test), test.labels))
    changed = [loss for loss in losses if abs(loss) > 1e-12]
    return {"sets": sets, "n": n, "changed": len(changed), "largest": max(0.0, *losses)}


def main():
    """Measure every population and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--alarms", action="store_true", help="measure false alarms alone")
    given = parser.parse_args()
    if given.alarms:
        record = json.loads(RESULTS.read_text()) | {"alarms": alarms(200, SIZES[0])}
        print(record["alarms"])
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    cells = []
    for n in SIZES:
        for name in POPULATIONS:
            runs = []
            for seed in range(given.seeds):
                rng = np.random.default_rng([5, n, seed, len(name)])
                fit, _ = made(name, rng, n)
                test, true = made(name, rng, FRESH)
                runs.append(measured(fit, test, true))
            cells.append({"data": name, "n": n, "runs": runs})
            print(name, n, runs, flush=True)
            _write(cells, given.seeds)
    fit, test = visits()
    for name, cluster in (("visits", None), ("visits, --cluster user_id", "user_id")):
        cells.append({"data": name, "n": fit.rows, "runs": [measured(fit, test, None, cluster)]})
        print(cells[-1], flush=True)
    _write(cells, given.seeds)


def _write(cells, seeds):
    version = importlib.metadata.version("mcgrad")
    record = {"date": time.strftime("%Y-%m-%d"), "mcgrad": version, "seeds": seeds, "cells": cells}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
