"""Time and memory of dense predictions that are streamed: python benchmarks/dense_scale.py

Writes an npz file of IMAGES images of 512 x 512 pixels and 19 classes in half precision (10 MB an
image), evaluates it with intervals that resample images, and without, each in a process of its own,
and says how long it took and the most memory of its own that the process held, sampled 20 times a
second (pages of the file that the system keeps are not counted). Writes results/dense_scale.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SIDE, CLASSES = 512, 19
RUN = """
import json, sys, threading, time
import calibtool as ct
held = [0]
def watch():
    while True:
        with open("/proc/self/status") as file:
            own = next(line for line in file if line.startswith("RssAnon"))
        held[0] = max(held[0], int(own.split()[1]))
        time.sleep(0.05)
threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
report = ct.evaluate(sys.argv[1], ignore=(255,), ci=sys.argv[2])
seconds = time.perf_counter() - start
peak = held[0] / 1024
found = {e.name: [e.value, e.low, e.high] for e in report.estimates}
print(json.dumps({"seconds": round(seconds, 1), "peak_mb": round(peak), "estimates": found}))
"""


def write(path, images):
    """Write images whose logits have a level of their own, and outcomes that are correlated."""
    rng = np.random.default_rng(1)
    shape = (images, CLASSES, SIDE, SIDE)
    labels = np.empty((images, SIDE, SIDE), np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("logits.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for k in range(images):
                noise = rng.standard_normal((CLASSES, SIDE, SIDE), dtype=np.float32)
                z = 2 * rng.standard_normal((CLASSES, 1, 1), dtype=np.float32) + noise
                gumbel = rng.gumbel(size=(CLASSES, 1, 1)).astype(np.float32)
                other = rng.gumbel(size=z.shape).astype(np.float32)
                labels[k] = (0.8 * z + np.maximum(gumbel, other)).argmax(axis=0)
                labels[k, :8] = 255
                file.write(z.astype(np.float16).tobytes())
        with archive.open("labels.npy", "w") as file:
            np.lib.format.write_array(file, labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "scenes.npz"
        start = time.perf_counter()
        write(path, given.images)
        megabytes = round(path.stat().st_size / 2**20)
        print(f"wrote {megabytes:,} MB in {time.perf_counter() - start:.0f} s", flush=True)
        cells = []
        for ci in ("none", "inverted"):
            done = subprocess.run(
                [sys.executable, "-c", RUN, str(path), ci],
                capture_output=True,
                text=True,
                check=True,
            )
            cells.append({"ci": ci, **json.loads(done.stdout)})
            print(f"{ci:9} {cells[-1]['seconds']:6} s, {cells[-1]['peak_mb']:,} MB", flush=True)
            for name, values in cells[-1]["estimates"].items():
                print("  ", name, *("-" if x is None else f"{x:.4f}" for x in values))
    if not given.dry:
        record = {
            "date": time.strftime("%Y-%m-%d"),
            "images": given.images,
            "file_mb": megabytes,
            "cells": cells,
        }
        (HERE / "results" / "dense_scale.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
