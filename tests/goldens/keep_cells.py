"""Keep cells files and the state of an interrupted run, and their numbers, for ever.

python tests/goldens/keep_cells.py

A file that is here already is never written again: whatever comes, calibtool must read it and give
the same numbers (tests/streaming/test_old_files.py). Only the command line is used, so that this
script runs on any commit; the files of `cells-v1` were written at commit 0b83d78.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "cells-v1"
ROWS = 120
WRITTEN_AT = 1_700_000_000 * 10**9  # the modification time that a run's state holds its files to
# name -> number of classes, and the command line after `calibtool cells FILE`
CELLS = {
    "two-classes": (2, ["--score", "p", "--labels", "y"]),
    "weighted": (2, ["--score", "p", "--labels", "y", "--weights", "w"]),
    "confidence": (0, ["--confidence", "p", "--correct", "y"]),
    "three-classes": (3, ["--metrics", "default,top-label-ece,auroc"]),
    "many-classes": (20, []),  # whose class view is kept in bins
}
METRICS = "ece,ece(bins=20),rmsce,ada-ece,classwise-ece,nll,brier,accuracy"
STATE_FILES = ("0.csv", "1.csv", "2.csv")
STATE_RUN = [
    "cells",
    "scores",
    "--score",
    "p",
    "--labels",
    "y",
    "--weights",
    "w",
    "-o",
    "all.cells",
    "--state",
    "run.state",
]


def table(rows: int, classes: int, seed: int) -> str:
    """Rows as csv: p, y, w, or a probability per class and a label."""
    rng = np.random.Generator(np.random.PCG64(seed))
    if classes < 3:
        p = rng.random(rows)
        y = rng.random(rows) < p**1.3
        w = rng.gamma(1.0, size=rows)
        return "p,y,w\n" + "".join(
            f"{a:.4f},{b:d},{c:.4f}\n" for a, b, c in zip(p, y, w, strict=True)
        )
    probs = rng.dirichlet(np.full(classes, 0.5), rows)
    labels = [int(rng.choice(classes, p=q)) for q in probs]
    lines = [f"{','.join(f'{v:.9f}' for v in q)},{k}\n" for q, k in zip(probs, labels, strict=True)]
    return f"{','.join(f'prob_{k}' for k in range(classes))},label\n" + "".join(lines)


def write_scores(folder: Path, *, bad: bool = False) -> None:
    """The three files of the interrupted run; the last one holds a probability of 7 if `bad`."""
    (folder / "scores").mkdir(exist_ok=True)
    for number, name in enumerate(STATE_FILES):
        text = table(ROWS, 2, 10 + number)
        if bad and number == len(STATE_FILES) - 1:
            at = text.rindex("\n0.") + 1
            text = f"{text[:at]}7{text[at + 1 :]}"
        path = folder / "scores" / name
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(WRITTEN_AT, WRITTEN_AT))


def calibtool(*arguments: str, code: int = 0) -> str:
    """Run a command line in the folder; return what it prints."""
    run = subprocess.run(
        [sys.executable, "-m", "calibtool", *arguments],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == code, run.stderr
    return run.stdout


def values(name: str) -> dict[str, float]:
    """The metrics of a cells file, without intervals."""
    metrics = "ece,ece(bins=20),ada-ece,accuracy" if name == "confidence" else METRICS
    text = calibtool(
        "evaluate", f"{name}.cells", "--metrics", metrics, "--ci", "none", "--format", "json"
    )
    return {m["name"]: m["value"] for m in json.loads(text)["metrics"]}


def main() -> None:
    """Write what is not here yet."""
    FOLDER.mkdir(exist_ok=True)
    for seed, (name, (classes, options)) in enumerate(CELLS.items()):
        if (FOLDER / f"{name}.cells").exists():
            continue
        rows = FOLDER / "rows.csv"
        rows.write_text(table(ROWS, classes, seed), encoding="utf-8")
        calibtool("cells", rows.name, *options, "-o", f"{name}.cells")
        rows.unlink()
        (FOLDER / f"{name}.expected.json").write_text(json.dumps(values(name), indent=1) + "\n")
    if not (FOLDER / "run.state").exists():
        write_scores(FOLDER, bad=True)
        calibtool(*STATE_RUN, code=2)
        state = (FOLDER / "run.state").read_bytes()
        write_scores(FOLDER)
        calibtool(*STATE_RUN)
        (FOLDER / "all.cells").rename(FOLDER / "run.cells")
        (FOLDER / "run.expected.json").write_text(json.dumps(values("run"), indent=1) + "\n")
        (FOLDER / "run.state").write_bytes(state)
        for name in STATE_FILES:
            (FOLDER / "scores" / name).unlink()
        (FOLDER / "scores").rmdir()


if __name__ == "__main__":
    main()
