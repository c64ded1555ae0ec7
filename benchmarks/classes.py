"""What `calibtool evaluate` costs against the numbers of classes and of rows.

    python benchmarks/classes.py [--only WORD] [--large]

Every run is a process of its own, and counts with its processor time, wall time and peak memory; of
TIMES runs, with and without intervals in turn, the least counts. Files are in the page cache. Each
line through the costs of a series is a + b * logits, by least squares of relative differences.
`--large` adds 1e8 rows, and 1,000,000 x 1,000 logits (4 GB) in parquet, beside NumPy's maximum,
exponentials and sums of the same row groups. Writes results/classes.json, prints a row per size.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scale
from many_rows import INSIDE, scores, usage

HERE = Path(__file__).parent
TIMES = 2  # runs of which the least counts
Cost = tuple[float, float, float]  # processor time and wall time in s, memory in GB
WAYS = {"intervals": (), "values": ("--ci", "none")}
# NumPy's own pass over the logits of a parquet file, as they are read.
PASS = (
    "import numpy as np, pyarrow.parquet as pq",
    """
    file = pq.ParquetFile({path!r})
    for k in range(file.num_row_groups):
        read = file.read_row_group(k, columns=["logits"])["logits"]
        z = read.combine_chunks().flatten().to_numpy().reshape(len(read), -1)
        for low in range(0, len(z), 256):
            some = z[low : low + 256]
            np.exp(some - some.max(axis=1, keepdims=True)).sum(axis=1)
""",
)


@dataclass(frozen=True)
class Size:
    """A file: which series it belongs to, and how many logits or scores it holds."""

    series: str
    path: str
    rows: int
    columns: int
    yardstick: bool = False  # whether it is measured beside NumPy's pass


@dataclass(frozen=True)
class Row:
    """What a file costs with intervals, without, and NumPy's pass over it."""

    series: str
    rows: int
    columns: int
    intervals: Cost
    values: Cost
    numpy: Cost | None = None


def main() -> None:
    """Measure every file and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="series whose name contains this")
    parser.add_argument("--large", action="store_true", help="1e8 rows and 1e9 logits too")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for size in sizes(options.only, large=options.large):
            rows.append(measure(size))
            print(shown(rows[-1]), flush=True)
            Path(size.path).unlink()
    about = {"date": time.strftime("%Y-%m-%d"), "cores": len(os.sched_getaffinity(0))}
    if not options.only:
        record = {"made_with": about, "rows": [asdict(row) for row in rows], "lines": lines(rows)}
        (HERE / "results" / "classes.json").write_text(json.dumps(record, indent=1) + "\n")


def sizes(only: str, *, large: bool) -> Iterator[Size]:
    """Write the files, one after another, and yield what they hold."""
    if only in "classes":
        for classes in (10, 100, 1000, 10_000, 32_000):
            yield Size("classes", logits("logits.npz", 2000, classes), 2000, classes)
        yield Size("vocabulary", logits("logits.npz", 1000, 32_000), 1000, 32_000)
    if only in "rows":
        for rows in (10**5, 10**6, 10**7, 10**8)[: 4 if large else 3]:
            yield Size("rows", scores("scores.parquet", rows), rows, 1)
    if only in "matrix" and large:
        path = str(scale.logits(Path("logits.parquet"), 10**6))
        yield Size("matrix", path, 10**6, 1000, yardstick=True)


def logits(path: str, rows: int, classes: int) -> str:
    """Write float16 logits, and labels drawn by a softer softmax of them."""
    rng = np.random.default_rng(0)
    z = 2.5 * rng.standard_normal((rows, classes), np.float32)
    labels = [int((one + rng.gumbel(size=classes)).argmax()) for one in z]
    np.savez(path, logits=(1.3 * z).astype(np.float16), labels=np.array(labels))
    return path


def measure(size: Size) -> Row:
    """Run the commands, and NumPy's pass, in turn."""
    tool = [sys.executable, "-m", "calibtool", "evaluate", size.path]
    runs = {name: ([*tool, *words], False) for name, words in WAYS.items()}
    if size.yardstick:
        before, work = PASS
        code = INSIDE.format(before=before, work=work.format(path=size.path))
        runs["numpy"] = ([sys.executable, "-c", code], True)
    least: dict[str, Cost] = {}
    for _ in range(TIMES):
        for name, (command, inside) in runs.items():
            found = usage(command, {"PYTHONPATH": str(HERE.parent)}, inside=inside)
            least[name] = tuple(map(min, found, least.get(name, found)))
    return Row(size.series, size.rows, size.columns, **least)


def lines(rows: list[Row]) -> list[dict[str, float | str]]:
    """Return the straight line through the processor times of each series, and how far the farthest
    time is from it, as a share of itself."""
    found: list[dict[str, float | str]] = []
    for series in ("classes", "rows"):
        some = [row for row in rows if row.series == series]
        for way in WAYS:
            cost = np.array([getattr(row, way)[0] for row in some])
            number = np.array([row.rows * row.columns for row in some], float)
            terms = np.stack([np.ones(len(some)), number], axis=1) / cost[:, None]
            (start, each), *_ = np.linalg.lstsq(terms, np.ones(len(some)), rcond=None)
            off = np.abs((start + each * number) / cost - 1).max()
            found.append(
                {"series": series, "way": way, "s": start, "ns": 1e9 * each, "farthest": off}
            )
    return found


def shown(row: Row) -> str:
    """Return what a row cost, in a line."""
    costs = {"intervals": row.intervals, "values": row.values, "numpy": row.numpy}
    parts = [f"{k} {v[0]:.2f} ({v[1]:.2f}) s {v[2]:.2f} GB" for k, v in costs.items() if v]
    return f"{row.series}: {row.rows:,} x {row.columns:,}: {', '.join(parts)}"


if __name__ == "__main__":
    main()
