"""How calibtool does on many rows, beside yardsticks of the same run: python benchmarks/scale.py

Writes two columns of 1e6, 1e7 and 1e8 rows (0.5 GB) and 1,000,000 x 1,000 logits (4 GB) to parquet
in a folder that is removed, prints a line a comparison and writes results/scale.json. Files are in
the page cache; times are medians of processes' own work, without their start. duckdb and polars are
needed for their lines. --largest 1e7 and --logits 100000 make it short.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from speed import MB, Row, installed, line, peak_memory

HERE = Path(__file__).parent
PEERS = ("duckdb", "polars")
GROUP = 1 << 20  # rows of a row group of two columns
WIDE = 20_000  # rows of a row group of 1,000 logits

# each reads {path} and prints the seconds of its own work, without imports
WORK = {
    "pyarrow": """
import pyarrow.dataset as ds, pyarrow.compute as pc
def work():
    for batch in ds.dataset({path!r}).to_batches(columns=["p", "clicked"]):
        pc.sum(batch.column(0)), pc.sum(batch.column(1))
""",
    "duckdb": """
import duckdb
duckdb.sql("set threads to {threads}")
def work():
    duckdb.sql(
        "select greatest(ceil(p::double * 15), 1) b, count(*), sum(p), sum(clicked) "
        "from '{path}' group by b"
    ).fetchall()
""",
    "polars": """
import polars as pl
def work():
    p = pl.col("p").cast(pl.Float64)
    pl.scan_parquet({path!r}).group_by((p * 15).ceil().clip(1, 15)).agg(
        pl.len(), p.sum().alias("said"), pl.col("clicked").cast(pl.Int64).sum()
    ).collect()
""",
    "ece": """
from calibtool.analysis.evaluate import evaluate
from calibtool.data.files.open import open_source; from calibtool.data.files.roles import Choice
def work():
    source = open_source({path!r}, Choice(score="p", labels="clicked"))
    evaluate(source, ["ece"], ci="none", threads={threads})
""",
    "ece with its interval": """
from calibtool.analysis.evaluate import evaluate
from calibtool.data.files.open import open_source; from calibtool.data.files.roles import Choice
def work():
    evaluate(open_source({path!r}, Choice(score="p", labels="clicked")), ["ece"], threads={threads})
""",
    "default": """
from calibtool.analysis.evaluate import evaluate
from calibtool.data.files.open import open_source; from calibtool.data.files.roles import Choice
def work():
    evaluate(open_source({path!r}, Choice(score="p", labels="clicked")), threads={threads})
""",
    "numpy": """
import numpy as np
from calibtool.data.files.open import open_source
from calibtool.parallel import ordered
def work():
    source = open_source({path!r})
    def one(part):
        for block in source.table.part_blocks(part, ["logits"], 4096):
            z = block["logits"]
            for low in range(0, len(z), 256):
                some = z[low:low + 256]
                np.exp(some - some.max(axis=1, keepdims=True)).sum(axis=1)
    list(ordered(one, source.parts(), {threads}))
""",
    "logits": """
from calibtool.analysis.evaluate import evaluate
from calibtool.data.files.open import open_source
def work():
    specs = ["accuracy", "nll", "brier", "ece"]
    evaluate(open_source({path!r}), specs, ci="none", threads={threads})
""",
    "logits, default": """
from calibtool.analysis.evaluate import evaluate
from calibtool.data.files.open import open_source
def work():
    evaluate(open_source({path!r}), ci="none", threads={threads})
""",
}
TIMED = """
import time
work()
took = []
for _ in range({times}):
    start = time.perf_counter()
    work()
    took.append(time.perf_counter() - start)
print(sorted(took)[len(took) // 2])
"""


def main() -> None:
    """Measure everything and write it down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--largest", type=float, default=1e8)
    parser.add_argument("--logits", type=int, default=1_000_000)
    asked = parser.parse_args()
    load, rows = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as folder:
        sizes = [n for n in (10**6, 10**7, 10**8) if n <= asked.largest]
        paths = {n: two_columns(Path(folder) / f"{n}.parquet", n) for n in sizes}
        wide = logits(Path(folder) / "logits.parquet", asked.logits)
        for row in (*columns(paths), *matrix(wide, asked.logits), *memory(paths, wide)):
            rows.append(row)
            print(line(row), flush=True)
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": threads(),
        "load_at_start": round(load, 2),
        "python": platform.python_version(),
        "versions": {n: installed(n) for n in ("calibtool", "numpy", "pyarrow", *PEERS)},
    }
    record = {"made_with": about, "rows": [asdict(row) for row in rows], "lines": lines(rows)}
    (HERE / "results" / "scale.json").write_text(json.dumps(record, indent=1) + "\n")


def lines(rows: list[Row]) -> dict[str, list[tuple[int, float]]]:
    """Seconds by number of rows, for the figure."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        words = row.what.split(" of ")
        if row.part != "a" or row.ours is None or row.theirs is None:
            continue
        count = int(words[1].split(" rows")[0].replace(",", ""))
        name = "calibtool, " + (words[0] + words[1].partition(" rows")[2]).replace("ece", "ECE")
        points = found.setdefault(name, [])
        if (count, row.ours) not in points:
            points.append((count, row.ours))
        for peer in ("pyarrow", *PEERS):
            if row.yardstick.startswith(peer):
                found.setdefault(row.yardstick, []).append((count, row.theirs))
    return found


def columns(paths: dict[int, Path]) -> Iterator[Row]:
    """Two columns: beside pyarrow's own scan, and the same table by group-by."""
    for rows, path in paths.items():
        times = 5 if rows < 10**8 else 3
        own = took("ece", path, times)
        what = f"ece of {rows:,} rows"
        scan = took("pyarrow", path, times)
        yield Row(
            "a", what, own, "pyarrow: the sums of both columns", scan, "<= 2x", own <= 2 * scan
        )
        for peer in PEERS:
            if installed(peer):
                theirs = took(peer, path, times)
                yield Row("a", what, own, f"{peer}: 15 groups", theirs, "faster", own < theirs)
        within = took("ece with its interval", path, times)
        yield Row("a", f"{what}, 1,000 resamples", within, "without", own)
        whole = took("default", path, times)
        yield Row(
            "a", f"default metrics of {rows:,} rows, 1,000 resamples", whole, "ece alone", own
        )


def matrix(path: Path, rows: int) -> Iterator[Row]:
    """Logits: beside one pass of NumPy over the same blocks, on the same threads."""
    floor = took("numpy", path, 3)
    numpy_pass = "numpy: read, max, exp, sum"
    for name, said in (("logits", "accuracy, nll, brier, ece"), ("logits, default", "default")):
        own = took(name, path, 3)
        what = f"{said} of {rows:,} x 1,000 logits"
        yield Row("b", what, own, numpy_pass, floor, "<= 2x", own <= 2 * floor)


def memory(paths: dict[int, Path], wide: Path) -> Iterator[Row]:
    """Peaks of a process's own memory."""
    tool = str(Path(sys.executable).with_name("calibtool"))
    for rows, path in paths.items():
        command = [tool, "evaluate", str(path), "--score", "p", "--labels", "clicked"]
        peak = peak_memory(command) / MB
        yield Row("c", f"`evaluate` of {rows:,} rows", peak, "", unit="MB", note="anonymous memory")
    peak = peak_memory([tool, "evaluate", str(wide)]) / MB
    yield Row("c", "`evaluate` of the logits", peak, "", unit="MB", note="anonymous memory")


def took(name: str, path: Path, times: int) -> float:
    """The median seconds of some work in a process of its own."""
    code = WORK[name].format(path=str(path), threads=threads()) + TIMED.format(times=times)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(found.stdout)


def threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def two_columns(path: Path, rows: int) -> Path:
    """Scores that are a little too timid, float32, and outcomes, int8."""
    rng = np.random.Generator(np.random.SFC64(1))
    schema = pa.schema({"p": pa.float32(), "clicked": pa.int8()})
    with pq.ParquetWriter(path, schema) as writer:
        for low in range(0, rows, GROUP):
            z = rng.normal(-1, 1.5, min(GROUP, rows - low))
            p = 1 / (1 + np.exp(-z))
            y = rng.random(len(z)) < 1 / (1 + np.exp(-0.9 * z))
            writer.write_table(pa.table({"p": p.astype(np.float32), "clicked": y.astype(np.int8)}))
    return path


def logits(path: Path, rows: int) -> Path:
    """Logits of 1,000 classes, and labels drawn by them."""
    rng = np.random.Generator(np.random.SFC64(2))
    kind = pa.list_(pa.float32(), 1000)
    schema = pa.schema({"logits": kind, "label": pa.int32()})
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for low in range(0, rows, WIDE):
            count = min(WIDE, rows - low)
            z = rng.standard_normal((count, 1000), dtype=np.float32)
            label = rng.integers(0, 1000, count, dtype=np.int32)
            z[np.arange(count), label] += rng.normal(4, 2, count).astype(np.float32)
            flat = pa.FixedSizeListArray.from_arrays(pa.array(z.ravel()), 1000)
            writer.write_table(pa.table({"logits": flat, "label": label}, schema=schema))
    return path


if __name__ == "__main__":
    main()
