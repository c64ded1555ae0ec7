"""What a cluster costs beside threads, and what 1e12 rows need: python benchmarks/cluster.py [ROWS]

Measures, in one run, threads beside Dask's processes on the same file of two columns (p, clicked)
with the same bits as the result; the bytes of a state, the time of one `+`, and how many tasks a
second a scheduler hands out. Writes results/cluster.json, which docs/evidence/scale.md shows,
with what follows from it on paper.
"""

from __future__ import annotations

import json
import os
import pickle
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import calibtool as ct
from calibtool.data.files.open import open_source
from calibtool.data.files.roles import Choice
from calibtool.metrics.spec import parse_list
from calibtool.streaming.cells_file import to_bytes
from calibtool.streaming.engines.dask_cluster import connected
from calibtool.streaming.engines.engine import RunOptions
from calibtool.streaming.engines.tree import WIDTH
from calibtool.streaming.layout import layout_for
from calibtool.streaming.passes import summarize
from calibtool.streaming.summarize import cells
from calibtool.streaming.summary import DataShape

HERE = Path(__file__).parent
ROUNDS = 5
GROUP = 1 << 20


def write(path, rows):
    """Scores that are somewhat too sure of themselves."""
    rng = np.random.default_rng(1)
    writer = None
    for start in range(0, rows, GROUP):
        count = min(GROUP, rows - start)
        z = rng.normal(-1, 1.5, count)
        p = (1 / (1 + np.exp(-z))).astype(np.float32)
        hit = (rng.random(count) < 1 / (1 + np.exp(-0.9 * z))).astype(np.int8)
        table = pa.table({"p": p, "clicked": hit})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=GROUP)
    writer.close()


def seconds(work):
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def main() -> None:
    rows = int(float(sys.argv[1])) if len(sys.argv) > 1 else 40_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        write(path, rows)
        found = measure(path, rows)
    record = {
        "rows": rows,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "calibtool": ct.__version__,
        **found,
    }
    (HERE / "results" / "cluster.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def measure(path, rows):
    source = open_source(path, Choice(score="p", labels="clicked"))
    specs = parse_list("ece,ada-ece,nll,brier")
    specs = [replace(spec, view="positive") if spec.view == "auto" else spec for spec in specs]
    keep = layout_for(specs, DataShape("probs", 2, one_column=True))
    times, started, bits = {}, {}, set()
    for n in (1, 2):  # one cluster at a time, beside as many threads
        began = time.perf_counter()
        with connected(f"local:{n}") as engine:
            engine.client.wait_for_workers(n)
            started[f"local:{n}"] = time.perf_counter() - began
            on = replace(source, run=RunOptions(engine))
            for turn in range(ROUNDS + 1):  # the first warms up
                for name, readable in ((f"threads:{n}", source), (f"local:{n}", on)):
                    took, states = seconds(lambda r=readable, n=n: summarize(r, keep, threads=n))
                    bits.add(to_bytes(states[0]))
                    if turn:
                        times.setdefault(name, []).append(took)
            task_rate = tasks_a_second(engine.client)
    assert len(bits) == 1, "the engines differ"
    middle = {name: statistics.median(took) for name, took in times.items()}
    ratios = [a / b for a, b in zip(times["local:2"], times["threads:2"], strict=True)]
    state = states[0]
    wide = cells(source)
    return {
        "seconds": {name: round(took, 3) for name, took in middle.items()},
        "start_seconds": {name: round(took, 2) for name, took in started.items()},
        "ratio_local2_threads2": round(statistics.median(ratios), 3),
        "ns_a_row_a_worker": round(1e9 * middle["threads:1"] / rows, 2),
        "state": of_state(state),
        "state_of_cells": of_state(wide),
        "tasks_a_second": round(task_rate),
        "width": WIDTH,
        "part_rows": GROUP,
    }


def of_state(state):
    """Its bytes in a file and on the wire, and seconds of one sum."""
    took = min(seconds(lambda: [state + state for _ in range(50)])[0] for _ in range(5)) / 50
    return {
        "file_bytes": len(to_bytes(state)),
        "wire_bytes": len(pickle.dumps(state)),
        "add_ms": round(1e3 * took, 3),
    }


def tasks_a_second(client):
    """Tasks that do nothing, through the scheduler."""
    count = 3000
    client.gather(client.map(int, range(100), pure=False))
    took, _ = seconds(lambda: client.gather(client.map(int, range(count), pure=False)))
    return count / took


if __name__ == "__main__":
    main()
