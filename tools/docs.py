"""Docs that can rot are made from the code: python tools/docs.py [--check].

- docs/metrics.md, docs/metrics/, docs/commands.md and docs/speed.md are written whole;
- between `<!-- made by tools/docs.py: NAME -->` and `<!-- end -->` stands what MADE makes of NAME;
- in README.md and docs/*.md, what stands below a `$ calibtool ...` line of a console block is
  replaced by what the command prints, run in order in an empty folder that holds docs/examples.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from calibtool import reference
from calibtool.calibrators import METHODS
from calibtool.cli import COMMANDS
from calibtool.diagrams import KINDS
from calibtool.metrics import METRICS, SECTIONS
from calibtool.render import to_markdown
from calibtool.render.numbers import number
from calibtool.train import listing
from calibtool.train.table import LEGEND

ROOT = Path(__file__).parents[1]
SPEED = """# Speed

Made from `benchmarks/results/speed.json` by `just docs`; do not edit.

L is 50,000 x 1,000 float32 logits (200 MB) in an uncompressed npz, S is 10,000 x 10.
Everything was measured in one run; medians. `ratio` is the other's time over ours.

{table}

{made}

netcal on float32 logits stops at T = 1 without a word, so its time there is no fit.
Times move with the machine; the ratios are what to look at. Over four runs on one day, that of
evaluate as a process lay between 2.2x and 3.3x of the numpy pass (0.12 to 0.15 s): some 0.2 s of it
are imports, of NumPy above all, which `--version` does not need.

## Errors without bins, many metrics at once

{free}

{free_made}

## Calibrators

Fit and apply to the same rows, from arrays in memory. L is 50,000 x 1,000, S is 10,000 x 10.

{fits}

{fits_made}
"""
NUMBER = re.compile(r"\d+\.\d+")
INSIDE = re.compile(r"(<!-- made by tools/docs.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
FILE = re.compile(r"```(?:toml|json) title=(\S+)\n(.*?)```", re.DOTALL)
SCRIPT = re.compile(r"```(?:(?:python) title=(\S+)|bash)\n(.*?)```", re.DOTALL)
PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "CALIBTOOL_TRACEBACK": "", "TERM": "dumb"}


def main() -> int:
    """Write what has changed, or with --check name it."""
    stale = []
    for path, text in made().items():
        if not path.exists() or not _same(path.read_text(encoding="utf-8"), text):
            stale.append(path.relative_to(ROOT))
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if "--check" not in sys.argv:
        pictures()
    for path in stale:
        print(f"{path}: {'is stale; run `just docs`' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


def _same(a: str, b: str) -> bool:
    """Equal but for the last digit of decimals, which another processor may round otherwise."""
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
    return all(abs(float(x) - float(y)) <= 1.01 * 0.1 ** len(x.split(".")[1]) for x, y in pairs)


def made() -> dict[Path, str]:
    """Every made page."""
    pages = {
        ROOT / "docs" / "metrics.md": reference.page(),
        ROOT / "docs" / "commands.md": helps(),
        ROOT / "docs" / "speed.md": speed(),
    }
    measured = coverage()
    for metric in METRICS.values():
        path = ROOT / "docs" / "metrics" / f"{metric.name}.md"
        pages[path] = reference.metric_page(metric, measured.get(metric.name, ()))
    written = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    written = [path for path in written if path not in pages]
    with ThreadPoolExecutor(
        len(os.sched_getaffinity(0))
    ) as pool:
        texts = pool.map(lambda path: with_output(path.read_text(encoding="utf-8")), written)
        for path, text in zip(written, texts, strict=True):
            pages[path] = INSIDE.sub(lambda at: f"{at[1]}{MADE[at[2]]()}{at[3]}", text)
    return pages


def coverage() -> dict[str, list[str]]:
    """What benchmarks/coverage.py measured of each metric's interval, in a sentence."""
    least: dict[str, dict[str, str]] = {}
    with (ROOT / "benchmarks" / "results" / "coverage.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            known = least.get(row["metric"])
            if known is None or float(row["inverted"]) < float(known["inverted"]):
                least[row["metric"]] = row
    found = {}
    for name, row in least.items():
        share = 100 * float(row["inverted"])
        text = (
            f"At worst it covered {share:.0f} % of {row['simulations']} data sets "
            f"({row['scenario']}, n = {int(row['n']):,}; [coverage](../coverage.md))."
        )
        warning = " **That is less than the 95 % it states.**" if share < 90 else ""
        found[name] = [text + warning, ""]
    return found


def calibrators() -> str:
    """The table of calibrators."""
    return "\n".join(["", *reference.calibrators(), "", ""])


def quality() -> str:
    """What benchmarks/calibrators.py measured last on real predictions."""
    record = json.loads((ROOT / "benchmarks" / "results" / "calibrators.json").read_text())
    sets = record["quality"]
    names = list(dict.fromkeys(name for one in sets for name in one["scores"]))
    names.sort(key=lambda name: list(METHODS).index(name) if name in METHODS else -1)

    def cell(one: dict[str, Any], name: str) -> str:
        found = one["scores"].get(name)
        if found is None:
            return "not fitted"
        text = f"{found['nll']} / {found['ece']}"
        return f"**{text}**" if name == one["best"] else text

    rows = [[name, *(cell(one, name) for one in sets)] for name in names]
    rows.append(["chosen", *(one["chosen"] for one in sets)])
    rows.append(["seconds", *(f"{one['seconds']:.0f}" for one in sets)])
    titles = ["NLL / ECE", *(f"{one['name']}, {one['rows']:,} x {one['classes']}" for one in sets)]
    rule = ["---", *("---:" for _ in sets)]
    table = ["| " + " | ".join(cells) + " |" for cells in (titles, rule, *rows)]
    about = record["quality_made_with"]
    return "\n".join(
        ["", *table, "", f"Measured on {about['date']}, {about['cores']} shared cores.", "", ""]
    )


def conventions() -> str:
    """The table of other libraries' conventions."""
    return "\n".join(["", *reference.conventions(), "", ""])


def real() -> str:
    """What benchmarks/real.py measured last."""
    record = json.loads((ROOT / "benchmarks" / "results" / "real.json").read_text())
    files = record["files"]
    lines = [""]
    for title, section in SECTIONS.items():
        rows = [
            [f"[{m.name}](metrics/{m.name}.md)", *(_measured(one, m.name) for one in files)]
            for m in section
            if m.name in files[0]["metrics"]
        ]
        names = [f"{one['file'].replace('_', ' ')}, n = {one['rows']:,}" for one in files]
        lines += [f"## {title}", "", *to_markdown.table(["metric", *names], rows, links=True), ""]
    took = ", ".join(f"{one['seconds']:.0f}" for one in files)
    lines += [
        "Value and 95 % interval; 1,000 resamples. Made by `benchmarks/real.py`.",
        f"On {record['date']} the files took {took} s.",
        "",
    ]
    return "\n".join(lines)


def _measured(one: dict[str, Any], name: str) -> str:
    value, low, high, _, _ = one["metrics"][name]
    if value is None:
        return "-"
    interval = "" if low is None else f" [{number(low)}, {number(high)}]"
    return f"{number(value)}{interval}"


def losses() -> str:
    """The table of losses."""
    return f"\n{listing.losses((), 'markdown')}\n{LEGEND}\n\n"


def focal() -> str:
    """What benchmarks/focal.py found: a table a data set, mean and deviation over the seeds."""
    record = json.loads((ROOT / "benchmarks" / "results" / "focal.json").read_text())
    lines: list[str] = []
    for name, setup in record["setups"].items():
        runs = [run for run in record["runs"] if run["data"] == name]
        told = ", ".join(f"{key} {value}" for key, value in setup.items())
        titles = ["loss", "error, %", "NLL", "ECE, %", "AdaECE, %", "class-wise ECE, %", "T"]
        rows = [_focal_row(loss, runs) for loss in dict.fromkeys(run["loss"] for run in runs)]
        lines += ["", f"**{name}**: {told}", "", *to_markdown.table(titles, rows)]
    return "\n".join([*lines, "", ""])


def _focal_row(loss: str, runs: list[dict[str, Any]]) -> list[str]:
    """A loss: error, each metric before and after temperature, and the temperature."""
    own = [run for run in runs if run["loss"] == loss]

    def spread(values: list[float], unit: float, digits: int) -> str:
        mean = statistics.fmean(values)
        deviation = f" ± {unit * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
        return f"{unit * mean:.{digits}f}{deviation}"

    cells = [spread([1 - run["before"]["accuracy"] for run in own], 100, 2)]
    for metric, (unit, digits) in FOCAL.items():
        both = (spread([run[when][metric] for run in own], unit, digits) for when in WHEN)
        cells.append(" → ".join(both))
    return [loss, *cells, spread([run["temperature"] for run in own], 1, 2)]


def loss_speed() -> str:
    """FLSD-53 beside loops over the rows, as benchmarks/losses.py measured it last."""
    record = json.loads((ROOT / "benchmarks" / "results" / "losses.json").read_text())
    titles = [
        "batch of 1,024",
        "flsd-53",
        "row by row",
        "gamma row by row",
        "torch's cross-entropy",
    ]
    rows = []
    for part in ("forward", "forward and backward"):
        for classes in dict.fromkeys(row["classes"] for row in record["rows"]):
            found = {
                row["loss"]: row["seconds"]
                for row in record["rows"]
                if (row["classes"], row["part"]) == (classes, part)
            }
            ours = found["flsd-53"]
            others = (found[name] for name in ("rows", "gammas", "torch cross_entropy"))
            cells = [f"{1e3 * other:.2f} ms, {other / ours:.1f}x" for other in others]
            rows.append([f"{classes} classes, {part}", f"{1e3 * ours:.2f} ms", *cells])
    made = ", ".join(f"{key} {value}" for key, value in record["made_with"].items())
    return "\n".join(["", *to_markdown.table(titles, rows), "", f"Made with {made}.", "", ""])


WHEN = ("before", "after")
FOCAL = {"nll": (1, 3), "ece": (100, 2), "ada-ece": (100, 2), "classwise-ece": (100, 2)}
MADE = {
    "calibrators": calibrators,
    "conventions": conventions,
    "focal": focal,
    "loss_speed": loss_speed,
    "losses": losses,
    "quality": quality,
    "real": real,
}


def pictures() -> None:
    """The diagrams that pages show."""
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    test, val = (f"docs/examples/fashion_{name}.npz" for name in ("test", "val"))
    with tempfile.TemporaryDirectory() as folder:
        fitted = f"{folder}/temperature.json"
        run(["calibtool", "fit-temperature", val, "-o", fitted], ROOT)
        draw = ["calibtool", "plot", "reliability", test, "-o"]
        run([*draw, str(images / "reliability.png")], ROOT)
        run([*draw, str(images / "after.png"), "--calibrator", fitted], ROOT)
        run(["calibtool", "select", val, "--figure", str(images / "skill.png")], ROOT)
    gallery(images / "plots")


def gallery(images: Path) -> None:
    """The pictures of docs/plots.md, by the commands that stand beside them."""
    images.mkdir(exist_ok=True)
    page = (ROOT / "docs" / "plots.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "docs" / "examples", folder, dirs_exist_ok=True)
        for script, body in SCRIPT.findall(page):
            (folder / (script or "commands.sh")).write_text(body, encoding="utf-8")
            said = run(
                [sys.executable, script] if script else ["bash", "-e", "commands.sh"], folder
            )
            if "calibtool:" in said or "Traceback" in said:
                raise RuntimeError(f"docs/plots.md: {body}\n{said}")
        for path in images.glob("*.png"):
            path.unlink()
        for path in folder.glob("*.png"):
            shutil.copy(path, images / path.name)


def helps() -> str:
    """docs/commands.md: the help page of every command."""
    lines = ["# Commands", "", "Made from the code by `just docs`; do not edit.", ""]
    for title, section in COMMANDS.items():
        lines += [f"## {title}", ""]
        for name in section:
            for words in [[name], *([name, kind] for kind in KINDS if name == "plot")]:
                text = run(["calibtool", *words, "--help"], ROOT)
                heading = f"### calibtool {' '.join(words)}"
                lines += [heading, "", "```text", text.rstrip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def speed() -> str:
    """docs/speed.md: what the scripts of benchmarks/ measured last."""
    results = ROOT / "benchmarks" / "results"
    main_, free, fits = (
        json.loads((results / f"{name}.json").read_text())
        for name in ("speed", "binning_free", "calibrators")
    )
    return SPEED.format(
        table=_rows(main_["rows"]),
        made=_made(main_["made_with"]),
        free=_rows(free["rows"]),
        free_made=_made(free["made_with"]),
        fits=_rows(fits["speed"]),
        fits_made=_made(fits["speed_made_with"]),
    )


def _rows(found: list[dict[str, Any]]) -> str:
    rows = []
    for row in found:
        ours, theirs = row["ours"], row["theirs"]
        unit = row["unit"]
        digits = ".0f" if unit == "MB" else ".3f"
        times = f"{theirs / ours:.1f}x" if theirs and "numpy" not in row["yardstick"] else ""
        if theirs and not times:
            times = f"1/{ours / theirs:.1f}"
        met = {True: "yes", False: "no", None: ""}[row["met"]]
        beside = f"{theirs:{digits}} {unit}" if theirs else ""
        cells = [row["what"], f"{ours:{digits}} {unit}", row["yardstick"], beside, times]
        rows.append([*cells, row["target"], met, row["note"]])
    titles = ("what", "calibtool", "beside", "its time", "ratio", "target", "met", "note")
    cells = [[c.replace("`", "") for c in row] for row in rows]
    return "\n".join(to_markdown.table(titles, cells, words=True))


def _made(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"Run on {about['date']}: {about['cores']} shared cores, load {about['load_at_start']} at "
        f"the start, Python {about['python']}, {versions}."
    )


def with_output(text: str) -> str:
    """A page with the output of its commands, run in an empty folder."""
    if "$ calibtool" not in text:
        return text
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "docs" / "examples", Path(folder) / "docs" / "examples")
        shutil.copytree(ROOT / "docs" / "examples", Path(folder) / "demo")
        for name, body in FILE.findall(text):
            (Path(folder) / name).write_text(body, encoding="utf-8")
        return CONSOLE.sub(lambda block: _block(block[1], Path(folder)), text)


def _block(body: str, folder: Path) -> str:
    lines = []
    for command in re.findall(r"^\$ .*$", body, re.MULTILINE):
        lines.append(command)
        if command.startswith("$ calibtool"):
            lines.append(run(["bash", "-c", command[2:]], folder).rstrip("\n"))
    return "```console\n" + "\n".join(line for line in lines if line) + "\n```"


def run(command: list[str], folder: Path) -> str:
    """What a command prints, errors included."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **PLAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
