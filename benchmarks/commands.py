"""Whole commands on files in memory: CPU seconds, seconds and peak memory, beside what is aimed at.

python benchmarks/commands.py [--beside CHECKOUT] [--only WORD]   writes results/commands.json

Each command is a process of its own, start-up included, --times times; the least counts. With
--beside, another checkout runs each command in turn with this one, for a before and an after in one
run. CPU seconds are of all threads, and tell more than seconds where others work on the machine
too. Rows that are not met are named at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "commands.json"
# what is run, and the seconds aimed at on a quiet machine of two cores
COMMANDS = {
    "select, 10,000 x 100": ("select large.npz", 10.0),
    "select, 5,000 x 100": ("select many.npz", 6.0),
    "select, 50,000 x 1,000": ("select huge.npz", 60.0),
    "plot gain, 5,000 x 100": ("plot gain many.npz -o gain.svg", 6.0),
    "evaluate --metrics all, 5,000 x 100": ("evaluate many.npz --metrics all", 5.0),
    "report, 114,072 x 2": ("report two.npz -o two.html", 2.0),
    "report, 5,000 x 100": ("report many.npz -o many.html", 1.0),
    "report --metrics clinical, 624 x 2": (
        "report patients.npz --metrics clinical -o patients.html",
        1.0,
    ),
    "compare --metrics clinical, 624 x 2": (
        "compare patients.npz others.npz --metrics clinical",
        1.0,
    ),
}
FILES = {  # rows, classes
    "large": (10_000, 100),
    "many": (5_000, 100),
    "two": (114_072, 2),
    "patients": (624, 2),
    "others": (624, 2),
    "huge": (50_000, 1_000),
}
# runs a command in this process, so that its CPU time and its peak memory are known
RUN = """
import json, resource, runpy, sys, time
began = time.perf_counter()
try:
    runpy.run_module("calibtool", run_name="__main__")
except SystemExit as end:
    code = end.code
used = resource.getrusage(resource.RUSAGE_SELF)
others = resource.getrusage(resource.RUSAGE_CHILDREN)  # processes that a command began
with open("/proc/self/status") as status:  # the peak of `used` begins with that of the parent
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps({
    "code": code,
    "cpu_s": used.ru_utime + used.ru_stime + others.ru_utime + others.ru_stime,
    "s": time.perf_counter() - began,
    "peak_mb": (peak + others.ru_maxrss) / 1024,  # on two cores there is one other at most
}), file=sys.stderr)
"""


def main() -> None:
    """Measure every command, and write it down."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--beside", type=Path)
    options.add_argument("--only", default="")
    options.add_argument("--times", type=int, default=3)
    given = options.parse_args()
    checkouts = {
        "this": HERE.parent,
        **({"beside": given.beside.resolve()} if given.beside else {}),
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        asked = {name: one for name, one in COMMANDS.items() if given.only in name}
        make(Path(folder), " ".join(command for command, _ in asked.values()))
        for name, (command, aim) in asked.items():
            row = {"command": name, "aim_s": aim}
            runs: dict[str, list[dict[str, float]]] = {which: [] for which in checkouts}
            for _ in range(given.times):
                for which, checkout in checkouts.items():
                    runs[which].append(run(command.split(), checkout, folder))
            for which, found in runs.items():
                row[which] = {key: round(min(one[key] for one in found), 3) for key in found[0]}
            if given.beside:
                row["ratio"] = round(row["beside"]["cpu_s"] / row["this"]["cpu_s"], 2)
            rows.append(row)
            print(json.dumps(row), flush=True)
    made_with = {"date": time.strftime("%Y-%m-%d"), "cores": len(os.sched_getaffinity(0))}
    RESULTS.write_text(json.dumps({"commands": rows, "made_with": made_with}, indent=1) + "\n")
    late = [row["command"] for row in rows if row["this"]["s"] > row["aim_s"]]
    print("not met:", "; ".join(late) or "none")


def make(folder: Path, commands: str) -> None:
    """Write the files that commands read: logits of models that say more than they know."""
    for seed, (name, (rows, classes)) in enumerate(FILES.items()):
        if f"{name}.npz" not in commands:
            continue
        rng = np.random.default_rng(seed)
        true = 1.5 * rng.standard_normal((rows, classes))
        labels = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
        if name == "others":  # of the same patients
            labels = np.load(folder / "patients.npz")["labels"]
        seen = 1.6 * true + 0.5 * rng.standard_normal(true.shape)
        np.savez(folder / f"{name}.npz", logits=seen.astype(np.float32), labels=labels)


def run(command: list[str], checkout: Path, folder: str) -> dict[str, float]:
    """Return seconds and megabytes of one command of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    # as it is where nothing is set: each module is compiled once, BLAS takes its own threads
    for variable in ("PYTHONDONTWRITEBYTECODE", "OPENBLAS_NUM_THREADS"):
        environment.pop(variable, None)
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stderr.strip().splitlines()[-1])
    if measured.pop("code"):
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return measured


if __name__ == "__main__":
    main()
