"""Kill calibtool while it writes: python tools/kills.py --count 500 --seed 1

Every kind of output is written over an old one, and the process is killed (SIGKILL, now and then
SIGTERM) after a random share of the time that the command takes. Afterwards the output must be the
old file or the new one, byte for byte, and the next run must leave no part file behind. Prints how
often each was found; the exit code is 1 if it was ever anything else.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

OLD = b"old\n" * 1000
# what writes each kind of output; the output's path is put at the end
COMMANDS = {
    "t.json": "fit-temperature x.npz --ci none -o",
    "out.npz": "apply cal.json x.npz -o",
    "out.parquet": "apply cal.json x.npz -o",
    "out.csv": "apply cal.json x.npz -o",
    "table.csv": "evaluate x.npz --ci none --format csv -o",
    "r.json": "evaluate x.npz --ci none --format json -o",
    "m.cells": "cells x.npz -o",
    "e.py": "export cal.json --to python -o",
    "e.h": "export cal.json --to c -o",
    "page.html": "report x.npz --resamples 20 -o",
    "d.png": "plot reliability x.npz --resamples 20 -o",
    "d.svg": "plot reliability x.npz --resamples 20 -o",
    "th.json": "threshold x.npz --target accuracy>=0.2 -o",
    "sets.json": "sets x.npz --coverage 0.8 -o",
    "accepted.csv": "apply threshold.json x.npz -o",
    "sets.npz": "apply rule.json x.npz -o",
    "est.csv": "estimate x.npz --resamples 20 --format csv -o",
}
# what these commands read
READ = (
    "fit-temperature x.npz --ci none -o cal.json",
    "threshold x.npz --target accuracy>=0.2 -o threshold.json",
    "sets x.npz --coverage 0.8 -o rule.json",
)


def start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """Begin to write an output."""
    command = [sys.executable, "-m", "calibtool", *COMMANDS[name].split(), name]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet)


def prepare(folder: Path, names: list[str]) -> tuple[dict[str, bytes], dict[str, float]]:
    """Write the inputs; return each whole output, and the seconds that writing it takes."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3)).astype(np.float32)
    np.savez(folder / "x.npz", logits=logits, labels=rng.integers(0, 3, 20_000))
    for command in READ:
        line = [sys.executable, "-m", "calibtool", *command.split()]
        subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    whole, seconds = {}, {}
    for name in names:
        began = time.monotonic()
        if start(folder, name).wait():
            raise SystemExit(f"{COMMANDS[name]} {name} fails")
        seconds[name] = time.monotonic() - began
        whole[name] = (folder / name).read_bytes()
    return whole, seconds


def main() -> None:
    """Kill as often as asked for, and count what is found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(COMMANDS), help="outputs, with commas between")
    asked = parser.parse_args()
    names = asked.only.split(",")
    chance = random.Random(asked.seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        whole, seconds = prepare(folder, names)
        before = set(folder.iterdir())
        for at in range(asked.count):
            name = names[at % len(names)]
            (folder / name).write_bytes(OLD)
            process = start(folder, name)
            # outputs are written at the end of a run
            time.sleep(seconds[name] * chance.uniform(0.5, 1.1))
            process.send_signal(signal.SIGTERM if chance.random() < 0.2 else signal.SIGKILL)
            process.wait()
            held = (folder / name).read_bytes()
            state = "old" if held == OLD else "new" if held == whole[name] else "neither"
            found[state] += 1
            if state == "neither":
                print(f"{name}: {len(held):,} bytes, {len(whole[name]):,} are whole")
        found["part files left by kills"] = len(set(folder.iterdir()) - before)
        for name in names:
            start(folder, name).wait()
        found["part files left by the next runs"] = len(set(folder.iterdir()) - before)
    print(", ".join(f"{count} {state}" for state, count in found.items()))
    raise SystemExit(bool(found["neither"] or found["part files left by the next runs"]))


if __name__ == "__main__":
    main()
