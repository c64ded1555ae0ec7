"""What many rows cost: processor time and memory of commands, beside another checkout and peers.

    python benchmarks/many_rows.py [--only WORD] [--beside CHECKOUT] [--large]

Every command is a process of its own, and counts with the processor time, the wall time and the
peak memory of that process; the ECE beside peers counts inside a process, without its start. Of
several runs, taken in turn with those of the other checkout (what calibtool took before a change,
say) and of the peers, the least counts. Files are in the page cache. Where numba is installed,
what uses it is measured with it (`calibtool[fast]`) and without. `--large` adds files of 1e8 rows,
which take 0.5 GB and minutes to write. Writes results/many_rows.json, and prints a row per command.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import calibtool as ct

HERE = Path(__file__).parent
TIMES = 3  # runs of which the least counts
# Run in a process of its own, twice; the second run counts, so that imports and threads that have
# to be started do not: the work alone, in seconds of processor time and of a clock.
INSIDE = """
import time
{before}
def work():
    {work}
work()
start = time.process_time(), time.perf_counter()
work()
print(time.process_time() - start[0], time.perf_counter() - start[1])
"""
# Starts a command and prints what it took: a process counts the memory of the one that started it.
LAUNCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
took = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.stdout, end="")
print(used.ru_utime + used.ru_stime, took, used.ru_maxrss / 1e6)
sys.exit(done.returncode)
"""
OURS = ("import calibtool as ct", "ct.evaluate({files!r}, ['ece'], ci='none', threads={threads})")
# Put before code, this is what the extra `fast` being installed or not comes to. Work inside a
# process finds the loops in use, as it does after enough rows; a command decides for itself.
WITHOUT_FAST = "import sys; sys.modules['numba'] = None; "
WITH_FAST = "from calibtool.streaming import compiled; compiled.expect(compiled.PAYS); "
COMMAND = "from calibtool.cli.process import run; run()"
# The sums that the ECE is made of; pyarrow, whose sums are of whole columns, is the scan.
PEERS = {
    "pyarrow": (
        "import glob, pyarrow.compute as pc, pyarrow.parquet as pq",
        "[pc.sum(c) for f in glob.glob({files!r}) for c in pq.read_table(f).columns]",
    ),
    "polars": (
        "import polars as pl; b = (pl.col('score') * 15).ceil().cast(pl.Int8).alias('bin')",
        "pl.scan_parquet({files!r}).group_by(b).agg(pl.len(), pl.sum('score', 'label')).collect()",
    ),
    "duckdb": (
        "import duckdb; s = 'select ceil(score * 15)::tinyint b, count(*), sum(score), sum(label)'",
        """duckdb.sql(s + " from read_parquet('{files}') group by b").fetchall()""",
    ),
}


@dataclass(frozen=True)
class Case:
    """A command, Python code, or the ECE of files; what it is called, and what is asked of it."""

    what: str
    command: tuple[str, ...] = ()
    aim: str = ""
    code: str = ""
    files: str = ""  # of which the ECE is measured beside peers, if there is no command
    fast: bool = False  # a command that uses the extra `fast` where it is installed
    threads: int | None = None


@dataclass(frozen=True)
class Row:
    """What work took: seconds of processor time, of a clock, and GB at the peak of memory."""

    what: str
    aim: str
    ours: tuple[float, float, float]
    before: tuple[float, float, float] | None = None
    fast: tuple[float, float, float] | None = None  # with calibtool[fast]
    peers: dict[str, tuple[float, float, float]] = field(default_factory=dict)


def main() -> None:
    """Measure every case and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--beside", type=Path, help="another checkout, measured in turn")
    parser.add_argument("--large", action="store_true", help="1e8 rows too")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for case in cases(large=options.large):
            if options.only in case.what:
                rows.append(measure(case, options.beside))
                print(line(rows[-1]), flush=True)
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "beside": bool(options.beside),
        "numba": version("numba") if find_spec("numba") else None,
    }
    if not options.only:
        record = {"made_with": about, "rows": [asdict(row) for row in rows]}
        (HERE / "results" / "many_rows.json").write_text(json.dumps(record, indent=1) + "\n")


def cases(*, large: bool) -> Iterator[Case]:
    """Write the files, and yield the commands that read them."""
    small = scores("rows-6.parquet", 10**6)
    middle = scores("rows-7.parquet", 10**7)
    scan = "1.6x pyarrow, below the others"
    yield Case("ECE, 1e6 rows", files=small, aim=scan)
    yield Case("ECE, 1e7 rows", files=middle, aim=scan)
    yield Case("ECE, 1e7 rows, one thread", files=middle, threads=1)
    Path("parts").mkdir()
    for k in range(20):
        scores(f"parts/{k:02d}.parquet", 10**6, seed=k)
    yield Case("ECE, 20 files of 1e6 rows", files="parts/*.parquet", aim=scan)
    default = "default metrics, 1,000 resamples, "
    yield Case(f"{default}1e7 rows", ("evaluate", middle), "2.5x ECE")
    if large:
        most = scores("rows-8.parquet", 10**8)
        yield Case("ECE, 1e8 rows", files=most, aim=scan)
        yield Case(f"{default}1e8 rows", ("evaluate", most), "2.5x ECE", fast=True)
        Path(most).unlink()
    drawn = ("plot", "confidence", middle, "-o", "x.png")
    yield Case("plot confidence, 1e7 rows", drawn, "1.5 s")
    twice = scores("rows-2e7.parquet", 2 * 10**7)
    yield Case("slices, 2e7 rows", ("slices", twice), "30 s, 1 GB")
    everything = ("evaluate", twice, "--metrics", "all")
    yield Case("evaluate --metrics all, 2e7 rows", everything, "60 s, 2 GB")
    yield Case(
        "evaluate --by score, 2e7 rows", ("evaluate", twice, "--by", "score"), "2.5 s, 0.5 GB"
    )
    yield Case("evaluate --version", ("--version",))
    # what a process takes before it has done anything: importing NumPy
    yield Case("python -c 'import numpy'", code="import numpy")
    yield Case("evaluate, 10,000 x 10", ("evaluate", logits("logits.npz")), "numpy + 0.15 s")
    days("days")
    yield Case("monitor, 365 .cells", ("monitor", "days"), "0.5 s")


def measure(case: Case, beside: Path | None) -> Row:
    """Run the work, and what is beside it, in turn."""
    parts = {"files": case.files, "threads": case.threads}
    here = {"PYTHONPATH": str(HERE.parent)}
    tool = [sys.executable, "-m", "calibtool", *case.command]
    fast = None
    if case.code:
        tool = [sys.executable, "-c", case.code]
    elif case.files:
        imports, work = OURS
        tool = [sys.executable, "-c", inside(WITHOUT_FAST + imports, work, **parts)]
        fast = [sys.executable, "-c", inside(WITH_FAST + imports, work, **parts)]
    elif case.fast:
        fast = [sys.executable, "-c", COMMAND, *case.command]
        tool = [sys.executable, "-c", WITHOUT_FAST + COMMAND, *case.command]
    runs = {"ours": (tool, here)}
    if fast and find_spec("numba"):
        runs["fast"] = (fast, here)
    if beside:
        runs["before"] = (tool, {"PYTHONPATH": str(beside)})
    for name, code in PEERS.items() if case.files and not case.threads else ():
        if find_spec(name):
            runs[name] = ([sys.executable, "-c", inside(*code, **parts)], {})
    least: dict[str, tuple[float, float, float]] = {}
    for _ in range(TIMES):
        for name, (command, variables) in runs.items():
            found = usage(command, variables, inside=bool(case.files))
            least[name] = tuple(map(min, found, least.get(name, found)))
    peers = {name: least[name] for name in PEERS if name in least}
    return Row(case.what, case.aim, least["ours"], least.get("before"), least.get("fast"), peers)


def inside(before: str, work: str, **parts: Any) -> str:
    """Return the code of a process that does some work and prints what it took."""
    return INSIDE.format(before=before, work=work.format(**parts))


def usage(
    command: Sequence[str], variables: dict[str, str], *, inside: bool
) -> tuple[float, float, float]:
    """Return the seconds of processor time and of a clock, and the peak memory in GB: of a whole
    process or, with `inside`, those that it prints."""
    quiet = {"CALIBTOOL_QUIET": "1", "OPENBLAS_NUM_THREADS": "1"}
    env = os.environ | quiet | variables
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # which would compile every module on every start
    launch = [sys.executable, "-S", "-c", LAUNCH, *command]
    done = subprocess.run(launch, check=False, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: status {done.returncode}")
    *printed, whole = done.stdout.splitlines()
    seconds, clock, memory = map(float, whole.split())
    if inside:
        seconds, clock = map(float, printed[-1].split())
    return seconds, clock, memory


def line(row: Row) -> str:
    """Return a row of a markdown table: processor time and clock, and memory."""

    def shown(found: tuple[float, float, float]) -> str:
        return "{:.3f} ({:.3f}) s, {:.2f} GB".format(*found)

    before = "" if row.before is None else shown(row.before)
    fast = "" if row.fast is None else shown(row.fast)
    peers = ", ".join(f"{name} {shown(found)}" for name, found in row.peers.items())
    return f"| {row.what} | {before} | {shown(row.ours)} | {fast} | {row.aim} | {peers} |"


# ------------------------------------------------------------------ files


def scores(path: str, rows: int, seed: int = 0) -> str:
    """Write P(class 1), float32, and the label, int8, in row groups of a million."""
    rng = np.random.default_rng(seed)
    schema = pa.schema([("score", pa.float32()), ("label", pa.int8())])
    with pq.ParquetWriter(path, schema) as file:
        for low in range(0, rows, 10**6):
            p = rng.beta(1, 3, min(10**6, rows - low))
            odds = (p / (1 - p)) ** 1.3
            y = (rng.random(len(p)) < odds / (1 + odds)).astype(np.int8)
            file.write_table(pa.table([p.astype(np.float32), y], schema=schema))
    return path


def logits(path: str) -> str:
    """Write 10,000 rows of 10 classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=10_000)
    z = 1.85 * rng.standard_normal((10_000, 10), np.float32)
    z[np.arange(10_000), y] += 2.5
    np.savez(path, logits=z, labels=y)
    return path


def days(folder: str) -> None:
    """Write the cells of a year, 2,000 rows a day."""
    Path(folder).mkdir()
    rng = np.random.default_rng(0)
    for k in range(365):
        y = rng.integers(10, size=2000)
        z = 1.8 * rng.standard_normal((2000, 10), np.float32)
        z[np.arange(2000), y] += 2.4
        day = dt.date(2026, 1, 1) + dt.timedelta(k)
        ct.save_cells(ct.cells((z, y)), Path(folder) / f"{day}.cells")


if __name__ == "__main__":
    main()
