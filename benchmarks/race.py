"""Does `select` choose the same when its candidates are raced?

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/race.py [FOLDER]

A race is for many rows of many classes (calibtool/analysis/race.py), for which there is no public
set. Here it is run on all ten public sets of `choice.py`, whatever their size: of each, --rows rows
are drawn --splits times, and `select` chooses with a race and without one. With few rows a race is
harder: errors are larger beside the differences, and more candidates stay. With --large, it is run
on the made file of `commands.py` that is raced by itself, too: ten minutes of CPU, 3 GB.

Writes results/race.json: how often the choices are the same, and how many of the fits a race makes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from choice import OTHERS, sets
from commands import FILES, make
from speed import HERE, installed

from calibtool.analysis import race
from calibtool.analysis.candidate import NOTHING
from calibtool.analysis.selection import Selection, select
from calibtool.calibrators.crossfit import FOLDS
from calibtool.data.files.open import open_source
from calibtool.data.predictions import Predictions
from calibtool.evaluation.subsample import draw_rows

RESULTS = HERE / "results" / "race.json"
ALWAYS, NEVER = 0, 1 << 62  # values from which on there is a race


def chosen(rows: Predictions, raced: int) -> tuple[Selection, float]:
    """The selection with a race from so many values on, and its CPU seconds."""
    race.RACED = raced
    began = time.process_time()
    return select(rows, resamples=0), time.process_time() - began


def fits(found: Selection) -> int:
    """How many fits to folds a selection made."""
    words = found.how.split()
    ended = int(words[2]) if "until" in words else FOLDS  # "cross-fitted in 2 of 5 folds of ..."
    fitted = [one for one in found.candidates if one.method != NOTHING and not one.failed]
    return sum(one.folds or ended for one in fitted)


def both(rows: Predictions) -> dict[str, Any]:
    """What is chosen without a race and with one, after how many fits and CPU seconds."""
    whole, whole_s = chosen(rows, NEVER)
    raced, raced_s = chosen(rows, ALWAYS)
    return {
        "rows": rows.rows,
        "chosen": whole.chosen,
        "raced": raced.chosen,
        "fits": fits(whole),
        "raced_fits": fits(raced),
        "cpu_s": round(whole_s, 2),
        "raced_cpu_s": round(raced_s, 2),
    }


def huge() -> Predictions:
    """The made file of so many rows and classes that it is raced."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), "huge.npz")
        return open_source(f"{folder}/huge.npz").load()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", default=str(HERE.parents[1] / "shared" / "data"))
    asked.add_argument("--rows", type=int, default=2000)
    asked.add_argument("--splits", type=int, default=3)
    asked.add_argument("--large", action="store_true")
    options = asked.parse_args()
    warnings.simplefilter("ignore")
    data = {
        name: rows
        for name, rows in sets(Path(options.folder)).items()
        if not name.startswith(OTHERS)
    }
    drawn = {
        name: [draw_rows(rows, options.rows, seed) for seed in range(options.splits)]
        for name, rows in data.items()
    }
    if options.large:
        drawn |= {"made, {:,} x {:,}".format(*FILES["huge"]): [huge()]}
    found: list[dict[str, Any]] = []
    for name, draws in drawn.items():
        entry: dict[str, Any] = {"name": name, "classes": draws[0].classes, "splits": []}
        for rows in draws:
            entry["splits"].append(both(rows))
        found.append(entry)
        print(json.dumps(entry), flush=True)
        record = {
            "date": time.strftime("%Y-%m-%d"),
            "cores": len(os.sched_getaffinity(0)),
            "versions": {name: installed(name) for name in ("calibtool", "numpy")},
            "sets": found,
        }
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    splits = [split for entry in found for split in entry["splits"]]
    same = sum(split["chosen"] == split["raced"] for split in splits)
    share = sum(split["raced_fits"] for split in splits) / sum(split["fits"] for split in splits)
    print(f"the same choice in {same} of {len(splits)} splits, with {share:.0%} of the fits")


if __name__ == "__main__":
    main()
