"""What checking input costs: python benchmarks/validation.py

Each file is measured with the checks of its structure and without them, in turns in one process:
for Arrow's formats and Parquet, `validate(full=True)` of each batch, for npz, whatever `np.load`
does not do. The shortest of the repeats counts, since other work only adds time. Prints the ratios,
and the share of the time that is spent in `validate`, which a busy machine blurs less, and writes
results/validation.csv. The rows are those of docs/evidence/scale.md; --rows 1e7 makes it longer.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from calibtool.analysis.evaluate import evaluate
from calibtool.data.files import arrow_file
from calibtool.data.files.open import open_source
from calibtool.data.files.roles import Choice

HERE = Path(__file__).parent
REPEATS = 7
GROUP = 1 << 20  # rows of a row group, as in scale.py
BLOCK = 1 << 16  # rows of a block, as they are streamed
CLASSES = 1_000  # of the logits of docs/evidence/scale.md
COUNTRIES = 200  # different texts in a column
COLUMNS = Choice(score="p", labels="clicked")


class Case(NamedTuple):
    """Work on a file, with checks and without."""

    file: str
    work: str
    rows: int
    checked: Callable[[], object]
    unchecked: Callable[[], object]


def table(rows: int, *, dictionary: bool) -> pa.Table:
    """Return a score, an outcome and a country."""
    rng = np.random.default_rng(0)
    p = rng.random(rows, np.float32)
    names = pa.array([f"country {k}" for k in range(COUNTRIES)])
    country = pa.DictionaryArray.from_arrays(rng.integers(0, COUNTRIES, rows, np.int32), names)
    return pa.table(
        {
            "p": p,
            "clicked": (rng.random(rows) < p).astype(np.int8),
            "country": country if dictionary else country.dictionary_decode(),
        }
    )


def logits(rows: int) -> pa.Table:
    """Return a list of logits per row, and a label."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=rows * CLASSES).astype(np.float32)
    offsets = np.arange(0, rows * CLASSES + 1, CLASSES, dtype=np.int32)
    lists = pa.ListArray.from_arrays(offsets, values)
    return pa.table({"logits": lists, "labels": rng.integers(0, CLASSES, rows)})


def write(path: Path, content: pa.Table) -> None:
    """Write a table in the format of the suffix."""
    if path.suffix == ".parquet":
        pq.write_table(content, path, row_group_size=GROUP)
    elif path.suffix == ".feather":
        feather.write_feather(content, path, chunksize=GROUP)
    else:
        with pa.ipc.new_file(path, content.schema) as writer:
            writer.write_table(content, max_chunksize=GROUP)


def without_validation(work: Callable[[], object]) -> Callable[[], object]:
    """Return the same work on batches that nothing checks."""

    def call() -> object:
        checked = arrow_file.validated
        arrow_file.validated = lambda batch: batch
        try:
            return work()
        finally:
            arrow_file.validated = checked

    return call


def read(path: Path, names: list[str], choice: Choice) -> None:
    """Read columns of a file in blocks."""
    for _ in open_source(str(path), choice).table.blocks(names, BLOCK):
        pass


def arrow_cases(folder: Path, rows: int) -> Iterator[Case]:
    """Yield the cases of Arrow's formats and Parquet."""
    ece = {"ci": "none", "threads": 1}
    for suffix in (".parquet", ".arrow", ".feather"):
        for kind, dictionary in (("texts", False), ("dictionary", True)):
            path = folder / f"{kind}{suffix}"
            write(path, table(rows, dictionary=dictionary))
            works = {
                "evaluate": lambda p=path: evaluate(open_source(str(p), COLUMNS), ["ece"], **ece),
                f"read numbers and {kind}": lambda p=path: read(
                    p, ["p", "clicked", "country"], COLUMNS
                ),
            }
            if dictionary:  # the numbers are the same
                del works["evaluate"]
            for name, work in works.items():
                yield Case(path.suffix, name, rows, work, without_validation(work))
            path.unlink()
        path, many = folder / f"lists{suffix}", rows // CLASSES * 4
        write(path, logits(many))
        works = {
            "evaluate 1,000 logits": lambda p=path: evaluate(open_source(str(p)), ["ece"], **ece),
            "read 1,000 logits": lambda p=path: read(p, ["logits", "labels"], Choice()),
        }
        for name, work in works.items():
            yield Case(path.suffix, name, many, work, without_validation(work))
        path.unlink()


def npz_cases(folder: Path, rows: int) -> Iterator[Case]:
    """Yield the cases of npz; members are read by `np.load` where nothing is to be checked."""
    columns = table(rows, dictionary=False)
    arrays = {name: columns[name].to_numpy() for name in ("p", "clicked")}
    for save, work in ((np.savez, "read numbers"), (np.savez_compressed, "read, compressed")):
        path = folder / f"{save.__name__}.npz"
        save(path, **arrays)

        def plain(path: Path = path) -> None:
            with np.load(path) as archive:
                for name in arrays:
                    np.ascontiguousarray(archive[name])

        yield Case(".npz", work, rows, lambda p=path: read(p, [*arrays], COLUMNS), plain)
        path.unlink()


def shortest(case: Case) -> tuple[float, float, float]:
    """Return the seconds with checks, without, and in `validate`: the shortest, in turns."""
    took: tuple[list[float], list[float], list[float]] = ([], [], [])
    for repeat in range(REPEATS + 1):
        with clocked() as spent:
            seconds = [timed(case.checked), timed(case.unchecked)]
        if repeat:  # the first fills caches
            for kept, value in zip(took, [*seconds, sum(spent)], strict=True):
                kept.append(value)
    return min(took[0]), min(took[1]), min(took[2])


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def clocked() -> Iterator[list[float]]:
    """Provide the seconds of each validation within."""
    spent: list[float] = []
    checked = arrow_file.validated

    def call(batch: pa.RecordBatch) -> pa.RecordBatch:
        spent.append(timed(lambda: checked(batch)))
        return batch

    arrow_file.validated = call
    try:
        yield spent
    finally:
        arrow_file.validated = checked


def main() -> None:
    """Measure every case and write it down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=float, default=5e6)
    rows = int(parser.parse_args().rows)
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for cases in (arrow_cases, npz_cases):
            for case in cases(Path(folder), rows):
                checked, unchecked, spent = shortest(case)
                ratio = checked / unchecked
                share = spent / checked
                print(
                    f"{case.file} {case.work}: {checked:.4f} s, {ratio:.3f}, {share:.4f}",
                    flush=True,
                )
                records.append(
                    {
                        "file": case.file,
                        "work": case.work,
                        "rows": case.rows,
                        "checked": f"{checked:.5f}",
                        "unchecked": f"{unchecked:.5f}",
                        "ratio": f"{ratio:.4f}",
                        "in_validate": f"{spent:.5f}",
                        "share": f"{share:.4f}",
                        "made": time.strftime("%Y-%m-%d %H:%M"),
                    }
                )
    with (HERE / "results" / "validation.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, records[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


if __name__ == "__main__":
    main()
