"""Damaged, hostile and absurd input, tried on every command: what breaks is shrunk and kept.

python tools/fuzz.py [--count N] [--seed S] [--only npz,csv] [--case I] [--keep DIR] [--jobs J]

Case I of seed S is always the same file and command; --case I runs it alone and shows everything.
`--only` names kinds, which `--list` lists: the suffixes of the table of readers, documents of ours,
odd arrays and tables through every command, and nearly right commands. Each chunk of cases runs in
a forked child with limits on memory and time. A defect is what tools/fuzzing/judge.py says.

Exits with 1 if there is a defect. DIR then holds, for the first cases of each, the file, the file
as small as it gets, the good files that commands name, and NAME.txt with the command and the trace.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
import time
from functools import partial
from importlib import import_module
from pathlib import Path, PurePath

# Before NumPy is imported: threads of a parent do not survive a fork, and exceptions shall get out.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["CALIBTOOL_TRACEBACK"] = "1"
os.environ["NO_COLOR"] = "1"
os.environ["COLUMNS"] = "80"
os.environ["MPLBACKEND"] = "agg"

from fuzzing.kinds import Case, case, draw_kind, kinds
from fuzzing.reduce import reduced
from fuzzing.run import Found, Runner, Tally
from fuzzing.seeds import GOOD

OF_TORCH = {"train", "pt", "pth"}  # kinds that need torch
KEPT = 2  # cases of one defect that are kept
# what commands import when they need it: once here instead of once per child
MODULES = (
    *("calibtool", "matplotlib.pyplot", "pyarrow.dataset", "rich.console", "scipy.optimize"),
    *("scipy.special", "scipy.stats", "calibtool.reports.render", "calibtool.analysis.selection"),
)


def main() -> int:
    """Run the cases; return 1 if one of them shows a defect."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        table = kinds(folder, [word for word in options.only.split(",") if word])
        if options.list:
            print("\n".join(table))
            return 0
        for module in MODULES:
            import_module(module)
        runner = Runner(options.seed, table, folder)
        if options.case is not None:
            return _show(runner, options.case)
        numbers = range(options.start, options.start + options.count)
        if any(draw_kind(options.seed, k, table)[1] in OF_TORCH for k in numbers):
            import_module("torch")  # it takes seconds, which count for the command that needs it
        tally = _run(runner, numbers, options.jobs)
        _print(runner, tally)
        if options.keep and tally.found:
            _keep(runner, tally, Path(options.keep))
    return 1 if tally.defects else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000, help="number of cases")
    parser.add_argument("--seed", default="1", help="any text")
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", default="", help="kinds, with commas between them")
    parser.add_argument("--list", action="store_true", help="list the kinds")
    parser.add_argument("--case", type=int, help="run this case alone, and show what it does")
    parser.add_argument("--keep", help="folder for what fails")
    parser.add_argument("--jobs", type=int, default=1, help="children at once")
    return parser.parse_args()


def _run(runner: Runner, numbers: range, jobs: int) -> Tally:
    tally, began = Tally(), time.monotonic()
    live = sys.stderr.isatty()
    for kind, code, found in runner.run(numbers, jobs):
        tally.kinds[kind] += 1
        tally.codes[code] += 1
        if found:
            tally.found.setdefault(f"{kind}: {found.signature}", []).append(found)
        if live and tally.cases % 100 == 0:
            print(f"\r{tally.cases:,} cases, {tally.defects:,} defects", end="", file=sys.stderr)
    tally.seconds = time.monotonic() - began
    return tally


def _print(runner: Runner, tally: Tally) -> None:
    for key, found in sorted(tally.found.items(), key=lambda item: -len(item[1])):
        this = case(runner.seed, found[0].number, runner.table)
        print(f"{len(found):5} x {key}")
        print(f"        case {this.number}: {shlex.join(this.argv)[:200]}")
        print(f"        {found[0].defect[:300]}")
    counts = [
        ", ".join(f"{k} {n:,}" for k, n in c.most_common()) for c in (tally.kinds, tally.codes)
    ]
    print(f"kinds: {counts[0]}\nexit codes: {counts[1]}")
    rate = tally.cases / max(tally.seconds, 1e-9)
    print(
        f"{tally.cases:,} cases of seed {runner.seed} in {tally.seconds:.0f} s ({rate:.0f} per s)"
    )
    print(f"{tally.defects:,} defects of {len(tally.found)} kinds")


def _keep(runner: Runner, tally: Tally, folder: Path) -> None:
    """Write the first cases of each defect, whole and reduced, with their commands."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(runner.folder / GOOD, folder / GOOD, dirs_exist_ok=True)
    for found in tally.found.values():
        for one in found[:KEPT]:
            this = case(runner.seed, one.number, runner.table)
            _write(folder, f"s{runner.seed}-{one.number}", this, one)
            small = reduced(this, partial(_is_same, runner, one))
            if small != this:
                _write(folder, f"s{runner.seed}-{one.number}-small", small, one)


def _is_same(runner: Runner, one: Found, other: Case) -> bool:
    found = runner.once(other)
    return found is not None and found.signature == one.signature


def _write(folder: Path, name: str, this: Case, found: Found) -> None:
    file = f"{name}{PurePath(this.file).suffix}"
    argv = [token.replace(this.file, file) if this.file else token for token in this.argv]
    if this.file:
        (folder / file).write_bytes(this.data)
    command = f"cd {shlex.quote(str(folder.absolute()))}\nCALIBTOOL_TRACEBACK=1 calibtool"
    text = f"{command} {shlex.join(argv)}\n\n{found.defect}\n\n{found.err}\n{found.trace}"
    (folder / f"{name}.txt").write_text(text, encoding="utf-8", errors="replace")


def _show(runner: Runner, number: int) -> int:
    """Run one case in a child, and print its command, its defect and what it said."""
    this = case(runner.seed, number, runner.table)
    print(f"{this.kind}: calibtool {shlex.join(this.argv)[:2000]}")
    print(f"{this.file}: {len(this.data):,} bytes")
    found = runner.once(this)
    if found is None:
        print("no defect")
        return 0
    print(f"{found.defect}\n{found.err}\n{found.trace}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
