"""Fits by passes over a parquet file beside the fits in memory: seconds, passes, peak memory.

python benchmarks/fits.py [FOLDER]   writes results/fits.json; the files, some 500 MB, go to FOLDER

Every number is of a process of its own, reading included, one after another: by passes, in memory,
and scikit-learn's on arrays in memory (its own fit alone, without reading). Peak is that of the
process's anonymous memory, imports included. CPU seconds tell more than seconds where others work
on the machine too.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "fits.json"
BINARY = (1_000_000, 10_000_000)
LOGITS = (250_000, 1_000_000)
CLASSES = 100
GROUP = 1 << 20  # rows of a row group of two columns
LIBRARIES = ("calibtool", "numpy", "scipy", "pyarrow", "scikit-learn")


def main() -> None:
    """Measure everything, and write it down."""
    if len(sys.argv) > 2:
        one(*sys.argv[1:])
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else made)
        rows = [row for path in files(folder) for row in measure(path)]
    made_with = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(load, 2),
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in LIBRARIES},
    }
    RESULTS.write_text(json.dumps({"fits": rows, "made_with": made_with}, indent=1) + "\n")


def measure(path: Path) -> list[dict[str, Any]]:
    """Both calibrators on a file, each way of fitting beside the other."""
    rows = []
    for method in ("temperature", "vector"):
        found = {way: run(way, method, path) for way in ("passes", "memory", "sklearn")}
        ours, held, theirs = (found[way] for way in ("passes", "memory", "sklearn"))
        row = {
            "file": path.stem,
            "method": method,
            "passes": ours["passes"],
            **{f"{way}_s": one.get("seconds") for way, one in found.items()},
            **{f"{way}_cpu_s": one.get("cpu") for way, one in found.items()},
            **{f"{way}_mb": one.get("peak_mb") for way, one in found.items() if way != "sklearn"},
            "off": float(np.abs(np.subtract(ours["v"], held["v"])).max()),
            "ratio_memory": held["seconds"] / ours["seconds"],
            "ratio_sklearn": theirs["seconds"] / ours["seconds"] if theirs else None,
        }
        rows.append(row)
        print(
            {k: round(v, 3) if isinstance(v, float) and k != "off" else v for k, v in row.items()}
        )
    return rows


def run(way: str, method: str, path: Path) -> dict[str, Any]:
    """One fit, in a process of its own; {} where it cannot be had."""
    line = [sys.executable, "-W", "ignore", __file__, way, method, str(path)]
    alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"} if way != "sklearn" else os.environ
    done = subprocess.run(line, capture_output=True, text=True, env=dict(alone), check=False)
    if done.returncode:
        print(way, method, path.stem, done.stderr.strip().splitlines()[-1:])
        return {}
    return dict(json.loads(done.stdout))


def one(way: str, method: str, path: str) -> None:
    """The process that fits."""
    import calibtool as ct

    source = ct.scan(path, **({"score": "p", "labels": "y"} if "binary" in path else {}))
    peak = watch()
    if way == "sklearn":
        print(json.dumps(sklearn(method, source.load())))
        return
    began = time.perf_counter(), time.process_time()
    fitted = ct.fit(method, source if way == "passes" else source.load())
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    own = fitted.map
    v = [own.temperature] if method == "temperature" else [*own.weight.tolist(), *own.bias.tolist()]
    passes = [int(note.split()[2]) for note in fitted.fitted.notes if note.startswith("fitted in")]
    out = {"seconds": seconds, "cpu": cpu, "peak_mb": peak[0] / 1024, "v": v}
    print(json.dumps({**out, "passes": [*passes, None][0]}))


def sklearn(method: str, p: Any) -> dict[str, Any]:
    """What scikit-learn fits: temperature scaling, or a logistic regression of the log-odds."""
    from sklearn.calibration import _TemperatureScaling
    from sklearn.linear_model import LogisticRegression

    if method == "vector" and not p.one_column:
        raise SystemExit("scikit-learn has no vector scaling")
    if p.one_column:
        x = p.values.astype(np.float64)
        x = np.log(x) - np.log1p(-x)
    else:
        x = p.values
    model = _TemperatureScaling() if method == "temperature" else LogisticRegression(C=np.inf)
    began = time.perf_counter(), time.process_time()
    model.fit(x.ravel() if method == "temperature" and p.one_column else x, p.labels)
    return {"seconds": time.perf_counter() - began[0], "cpu": time.process_time() - began[1]}


def watch() -> list[int]:
    """The peak of anonymous memory so far, in kB, kept up to date."""
    peak = [0]

    def look() -> None:
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    peak[0] = max(peak[0], int(line.split()[1]))
            time.sleep(0.005)

    threading.Thread(target=look, daemon=True).start()
    return peak


def files(folder: Path) -> list[Path]:
    """The files of both kinds, of each length; made once."""
    made = [binary(folder / f"binary-{rows}.parquet", rows) for rows in BINARY]
    return made + [logits(folder / f"logits-{rows}.parquet", rows) for rows in LOGITS]


def binary(path: Path, rows: int) -> Path:
    """A score and a label, as of a model of rare-ish events that is off in slope and base rate."""
    import pyarrow as pa
    from pyarrow import parquet

    if path.exists():
        return path
    rng = np.random.Generator(np.random.PCG64(1))
    with parquet.ParquetWriter(path, pa.schema([("p", pa.float32()), ("y", pa.int8())])) as file:
        for low in range(0, rows, GROUP):
            s = rng.normal(-1, 1.5, min(GROUP, rows - low))
            y = rng.random(len(s)) < 1 / (1 + np.exp(0.3 - 0.7 * s))
            p = (1 / (1 + np.exp(-s))).astype(np.float32)
            file.write_table(pa.table({"p": p, "y": y.astype(np.int8)}))
    return path


def logits(path: Path, rows: int) -> Path:
    """Logits whose classes are off each by a slope and a bias of its own."""
    import pyarrow as pa
    from pyarrow import parquet

    if path.exists():
        return path
    rng = np.random.Generator(np.random.PCG64(2))
    slope, bias = rng.uniform(1, 2, CLASSES), rng.normal(0, 0.5, CLASSES)
    schema = pa.schema([("logits", pa.list_(pa.float32(), CLASSES)), ("labels", pa.int32())])
    with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        for low in range(0, rows, 1 << 14):
            true = 2 * rng.standard_normal((min(1 << 14, rows - low), CLASSES))
            y = (true + rng.gumbel(size=true.shape)).argmax(axis=1).astype(np.int32)
            flat = pa.array((true * slope + bias).astype(np.float32).ravel())
            columns = [pa.FixedSizeListArray.from_arrays(flat, CLASSES), y]
            file.write_table(pa.table(columns, schema=schema))
    return path


def installed(name: str) -> str | None:
    """The version of a library, if it is there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
