"""How far is what `select` chooses from the best calibrator, on rows that neither has seen?

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/choice.py [FOLDER]

Ten public sets: the six published ones in FOLDER (../shared/data) and the four examples. Beside
them, the made and the trained sets of `arena.py`. Of each, at most twice --rows rows are drawn and
split into halves, stratified by label, --splits times (three times where there are many classes).
`select` chooses on the first half; every candidate is fitted to the same rows and measured on the
second. The best is the candidate with the lowest mean NLL over the splits. A set is met if the
choice is behind it, on average, by no more than one standard error of the difference on a half.
The standard error of the best NLL itself, which is larger since hard rows are hard for every
candidate, is written too.
Beside it, what the lowest cross-fitted NLL would choose, and the simplest within half and one and a
half standard errors.

Writes results/choice.json, from which docs/evidence/calibrators.md says how many sets are met.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from arena import EXAMPLES, PUBLISHED, made, trained
from speed import HERE, Floats, installed

import calibtool as ct
from calibtool.analysis.candidate import NOTHING, Candidate, choose
from calibtool.analysis.selection import select
from calibtool.calibrators.confidences import as_classes
from calibtool.calibrators.registry import finite_options
from calibtool.data.folds import stratified_folds
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import CalibtoolError
from calibtool.evaluation.subsample import draw_rows
from calibtool.metrics.proper import nll

FACTORS = (0.5, 1.5)  # of the standard error, beside the 1 of `select`
RULES = ("select", "lowest", *(f"within {k:g}" for k in FACTORS))
OTHERS = ("made_", "cancer_", "wine_")  # how their names begin
SLOW = ("digits_bayes", "digits_forest", "digits_logistic")  # minutes each, as slow as their race
MANY, FEW = 50, 3  # classes from which on a race takes minutes, and their number of splits
EQUAL = 1e-6  # nats: two parametrisations of one model differ by less where their searches end
RESULTS = HERE / "results" / "choice.json"


def sets(folder: Path) -> dict[str, Predictions]:
    """The public sets by name, then the others."""
    paths = [folder / f"{name}.npz" for name in PUBLISHED]
    paths += [HERE.parent / "docs" / "examples" / name for name in EXAMPLES]
    found = {path.stem: as_classes(ct.load(path)) for path in paths if path.exists()}
    # those that take longest last, so that a run that is stopped has most of them
    found = dict(sorted(found.items(), key=lambda pair: pair[1].classes or 0))
    others = [*made(4000), *made(800), *trained()]
    return found | {one.name: one.rows for one in others if one.name not in SLOW}


def fresh_losses(method: str, fit: Predictions, fresh: Predictions) -> Floats | None:
    """The NLL of each fresh row after a fit; None where it cannot be fitted."""
    try:
        after = fresh if method == NOTHING else ct.fit(method, fit, **finite_options(method))(fresh)
    except CalibtoolError:
        return None
    return nll(reduce_rows(after))


def split(one: Predictions, seed: int, most: int) -> dict[str, Any]:
    """Choose on one half, and measure every candidate on the other."""
    drawn = draw_rows(one, 2 * most, seed)
    assert drawn.labels is not None
    half = stratified_folds(drawn.labels, 2, seed)
    fit, fresh = (drawn.take(np.flatnonzero(half == k)) for k in (0, 1))
    found = select(fit, resamples=0)
    chosen = {f"within {k:g}": choose(nearer(found.candidates, k), "nll")[0] for k in FACTORS}
    losses = {
        c.method: fresh_losses(c.method, fit, fresh) for c in found.candidates if not c.failed
    }
    known = {name: x for name, x in losses.items() if x is not None and np.isfinite(x).all()}
    return {"select": found.chosen, "lowest": found.best, "losses": known, **chosen}


def nearer(candidates: tuple[Candidate, ...], factor: float) -> list[Candidate]:
    """The candidates with so many standard errors in place of one."""
    return [replace(c, error=None if c.error is None else factor * c.error) for c in candidates]


def judge(splits: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    """How far what a rule chose is behind the best candidate on average, and by which error."""
    methods = set.intersection(*(set(s["losses"]) for s in splits))
    mean = {m: float(np.mean([s["losses"][m].mean() for s in splits])) for m in methods}
    best = min(mean, key=lambda m: mean[m])
    behind, errors, of_best = [], [], []
    for s in splits:
        own = s["losses"].get(s[rule])
        if own is None:  # it could not be fitted, or is infinite on a fresh row
            missing = {"behind": None, "error": None, "error_of_best": None}
            return {"best": best, **missing, "met": False, "met_by_best": False}
        difference = own - s["losses"][best]
        behind.append(difference.mean())
        errors.append(difference.std() / np.sqrt(len(difference)))
        of_best.append(s["losses"][best].std() / np.sqrt(len(difference)))
    chosen = Counter(s[rule] for s in splits)
    return {
        "chosen": dict(chosen.most_common()),
        "best": best,
        "behind": float(np.mean(behind)),
        "error": float(np.mean(errors)),
        "error_of_best": float(np.mean(of_best)),
        "met_by_best": bool(np.mean(behind) <= np.mean(of_best)),
        "met": bool(np.mean(behind) <= np.mean(errors) + EQUAL),
        "splits_met": int(sum(b <= e + EQUAL for b, e in zip(behind, errors, strict=True))),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", default=str(HERE.parents[1] / "shared" / "data"))
    asked.add_argument("--rows", type=int, default=2000)
    asked.add_argument("--splits", type=int, default=10)
    asked.add_argument("--only", default="")
    options = asked.parse_args()
    warnings.simplefilter("ignore")
    found = []
    for name, one in sets(Path(options.folder)).items():
        if options.only not in name:
            continue
        began = time.perf_counter()
        count = options.splits if (one.classes or 0) < MANY else min(options.splits, FEW)
        splits = [split(one, seed, options.rows) for seed in range(count)]
        entry = {
            "name": name,
            "rows": one.rows,
            "classes": one.classes,
            "splits": count,
            "seconds": round(time.perf_counter() - began, 1),
            "public": not name.startswith(OTHERS),
            **{rule: judge(splits, rule) for rule in RULES},
        }
        found.append(entry)
        print(json.dumps(entry), flush=True)
        write(found, options)
    for rule in RULES:
        met = [[one[rule]["met"] for one in found if one["public"] == group] for group in (1, 0)]
        print(rule, *(f"{sum(group)} of {len(group)} sets met" for group in met))


def write(found: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the results so far."""
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "rows": options.rows,
        "splits": options.splits,
        "versions": {name: installed(name) for name in ("calibtool", "numpy")},
        "sets": found,
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
