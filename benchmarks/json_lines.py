"""JSON lines beside polars, and other doors: python benchmarks/json_lines.py [--gb 1]

Writes records of an id, a confidence, a hit and five other fields, sums the two columns by
`calibtool` and by `polars.scan_ndjson`, and measures them by `calibtool evaluate`, in turn, each in
a process of its own; prints seconds, those of all cores together, their ratios and the peak of
memory; then the time in which each format of logs is recognised, and what opening 50,000 x 1,000
mapped logits takes. Writes results/json_lines.json.

Where other programs share the machine (`load`), seconds of cores say more than those of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "tests" / "data" / "logs" / "samples"
BATCH = 20_000  # records written at a time
REPEATS = 3
CODE = {
    "calibtool": """
from calibtool.data.files.open import open_table
table = open_table({path!r})
total = [0.0, 0.0]
for block in table.blocks(["confidence", "correct"], 1 << 18):
    total = [total[0] + block["confidence"].sum(), total[1] + block["correct"].sum()]
""",
    "calibtool evaluate": """
import calibtool as ct
report = ct.evaluate({path!r}, confidence="confidence", correct="correct")
total = [report["mean-confidence"].value, report["accuracy"].value]
""",
    "polars": """
import polars as pl
schema = {{"confidence": pl.Float64, "correct": pl.Boolean}}
lines = pl.scan_ndjson({path!r})
total = lines.select(pl.col("confidence").sum(), pl.col("correct").sum()).collect().row(0)
""",
}
FRAME = """
import resource, time
began = time.perf_counter()
{code}
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_SELF)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, *total)
"""


def write(path: Path, size: float) -> int:
    """Write records of about `size` bytes; return their number."""
    rng, rows = random.Random(1), 0
    with path.open("w") as file:
        while file.tell() < size:
            for _ in range(BATCH):
                p = rng.random()
                record = {
                    "id": f"item-{rows}",
                    "confidence": round(p, 6),
                    "correct": rng.random() < p,
                }
                record |= {"model": f"m{rows % 7}", "latency_ms": rows % 900, "region": "eu-west"}
                record |= {
                    "tokens": rows % 333,
                    "prompt": f"what is the answer to question {rows}?",
                }
                file.write(json.dumps(record) + "\n")
                rows += 1
    return rows


def timed(name: str, path: Path) -> list[float]:
    """Return seconds, those of all cores, peak MB and the two sums of one process."""
    code = FRAME.format(code=CODE[name].format(path=str(path)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def recognised() -> dict[str, float]:
    """Return the milliseconds in which each sample of a log is opened as far as its format."""
    from calibtool.data.files.find import find
    from calibtool.data.files.formats import _log_files, _log_of

    found = {}
    for path in sorted(SAMPLES.iterdir()):
        files = find(str(path))
        _log_of(files, _log_files(files, skip_bad=False))  # imports
        taken = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            _log_of(files, _log_files(files, skip_bad=False))
            taken.append(1e3 * (time.perf_counter() - began))
        found[path.name] = min(taken)
    return found


def mapped(folder: Path) -> dict[str, Any]:
    """Return what opening 50,000 x 1,000 float32 logits takes, and whether they stay mapped."""
    from calibtool.data.files.open import open_source

    logits = np.zeros((50_000, 1_000), np.float32)
    labels = np.zeros(50_000, np.int64)
    np.savez(folder / "x.npz", logits=logits, labels=labels)
    header = {
        "logits": {"dtype": "F32", "shape": [50_000, 1_000], "data_offsets": [0, logits.nbytes]},
        "labels": {
            "dtype": "I64",
            "shape": [50_000],
            "data_offsets": [logits.nbytes, logits.nbytes + labels.nbytes],
        },
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "x.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + logits.tobytes() + labels.tobytes())
    found = {}
    for name in ("x.npz", "x.safetensors"):
        began = time.perf_counter()
        source = open_source(folder / name)
        block = next(source.blocks(10))
        seconds = time.perf_counter() - began
        base: Any = block.values
        while getattr(base, "base", None) is not None:
            base = base.base
        found[name] = {"ms": 1e3 * seconds, "mapped": source.table.columns["logits"].mapped}
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gb", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "log.jsonl"
        rows = write(path, options.gb * 1e9)
        runs: dict[str, list[list[float]]] = {who: [] for who in CODE}
        for _ in range(REPEATS):
            for who, made in runs.items():
                made.append(timed(who, path))
        best = {who: [*map(min, zip(*made, strict=True))] for who, made in runs.items()}
        names = ("seconds", "core_seconds", "peak_mb")
        record: dict[str, Any] = {"rows": rows, "gb": options.gb, "cores": os.cpu_count()}
        record["load"] = os.getloadavg()[0]
        for who, measured in best.items():
            made = dict(zip(names, measured, strict=False))
            made["sums"] = measured[3:]
            ratios = [x / y for x, y in zip(measured, best["polars"], strict=True)]
            made |= {"ratio": ratios[0], "core_ratio": ratios[1]}
            record[who] = made
            print(f"{who}: {rows:,} records", made)
        record |= {"recognised_ms": recognised(), "mapped": mapped(Path(name))}
        print(json.dumps(record["recognised_ms"]), json.dumps(record["mapped"]))
    (HERE / "results" / "json_lines.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
