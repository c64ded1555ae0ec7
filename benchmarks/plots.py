"""How long a picture of ten million rows takes, and how large its file is.

    python benchmarks/plots.py [--rows 10000000]

Writes benchmarks/results/plots.json. Each command is a process of its own, reading from an
uncompressed npz of confidences (float32) and outcomes; wall time and processor time. Beside it, in
the same run, what scikit-learn's CalibrationDisplay needs for the same diagram of the same arrays,
which has no intervals. Let nothing else run beside it: wall time is that of a shared machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PEER = """
import numpy as np, matplotlib
matplotlib.use("Agg")
from sklearn.calibration import CalibrationDisplay
d = np.load("rows.npz")
shown = CalibrationDisplay.from_predictions(d["correct"], d["confidence"], n_bins=15)
shown.figure_.savefig("peer.svg")
"""
OURS = {
    "reliability, svg": ("reliability.svg",),
    "reliability, pdf": ("reliability.pdf",),
    "reliability, png": ("reliability.png",),
    "reliability --smooth, svg": ("smooth.svg", "--smooth"),
    "reliability --corp, svg": ("corp.svg", "--corp"),
    "confidence, svg": ("confidence.svg",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.Generator(np.random.PCG64(0))
        confidence = (1 - 0.9 * rng.beta(1, 6, rows)).astype(np.float32)
        np.savez(
            folder / "rows.npz",
            confidence=confidence,
            correct=rng.random(rows) < confidence**1.4,
        )
        for what, (file, *more) in OURS.items():
            kind = what.split()[0].strip(",")
            tool = [sys.executable, "-m", "calibtool", "plot", kind, "rows.npz"]
            seconds, cpu = timed([*tool, "-o", file, *more], folder)
            size = (folder / file).stat().st_size
            found.append({"what": what, "wall": seconds, "cpu": cpu, "bytes": size})
            print(f"{what:28} {seconds:6.1f} s  {cpu:6.1f} s of processors  {size / 1000:.0f} kB")
        seconds, cpu = timed([sys.executable, "-c", PEER], folder)
        size = (folder / "peer.svg").stat().st_size
        print(f"{'CalibrationDisplay, svg':28} {seconds:6.1f} s  {cpu:6.1f} s of processors")
        peer = {"wall": seconds, "cpu": cpu, "bytes": size}
    record = {
        "rows": rows,
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[2], 1),
        "ours": found,
        "scikit-learn": peer,
    }
    path = ROOT / "benchmarks" / "results" / "plots.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall and processor seconds, the better of two."""
    best = (np.inf, np.inf)
    for _ in range(2):
        before, began = used(), time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        best = min(best, (time.perf_counter() - began, used() - before))
    return round(best[0], 2), round(best[1], 2)


def used() -> float:
    """Processor seconds of the children so far."""
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime


if __name__ == "__main__":
    main()
