"""Docs that can rot are made from the code: python tools/docs.py [--check].

- docs/reference/metrics.md, docs/reference/metrics/, docs/reference/commands.md and
  docs/evidence/speed.md are written whole;
- between `<!-- made by tools/docs.py: NAME -->` and `<!-- end -->` stands what tables.MADE makes of
  NAME;
- in README.md and docs/**/*.md, console blocks get what their commands print (blocks.py);
- counts in their prose, such as the number of metrics, are those of the tables (counts.py).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import commands_page
import tables
from blocks import run, with_output
from counts import with_counts
from results import results_of

from calibtool.metrics.registry import METRICS
from calibtool.reports import metrics

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NUMBER = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.])")  # and no version
INSIDE = re.compile(r"(<!-- made by tools/docs.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
SCRIPT = re.compile(r'```(?:python title="(\S+)"|bash)\n(.*?)```', re.DOTALL)


def main() -> int:
    """Write what has changed, or with --check name it."""
    if unknown := set(sys.argv[1:]) - {"--check"}:  # --help must not write
        sys.exit(f"{', '.join(unknown)}?\n{__doc__}")
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
        DOCS / "reference" / "metrics.md": metrics.page(),
        DOCS / "reference" / "commands.md": commands_page.page(),
        DOCS / "evidence" / "speed.md": tables.speed(),
    }
    measured = tables.coverage()
    for metric in METRICS.values():
        path = DOCS / "reference" / "metrics" / f"{metric.name}.md"
        pages[path] = metrics.metric_page(metric, measured.get(metric.name, ()))
    written = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
    written = [path for path in written if path not in pages]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        texts = pool.map(_with_output, written)
        for path, text in zip(written, texts, strict=True):
            inside = INSIDE.sub(lambda at: f"{at[1]}{tables.MADE[at[2]]()}{at[3]}", text)
            pages[path] = with_counts(inside)
    return pages


def _with_output(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return with_output(text) if path.name != "CONTRIBUTING.md" else text  # it shows code to write


def pictures() -> None:
    """The diagrams that pages show."""
    images = DOCS / "images"
    images.mkdir(exist_ok=True)
    test, val = (f"docs/examples/fashion_{name}.npz" for name in ("test", "val"))
    with tempfile.TemporaryDirectory() as folder:
        fitted = f"{folder}/temperature.json"
        run(["calibtool", "fit-temperature", val, "-o", fitted], ROOT)
        draw = ["calibtool", "plot", "reliability", test, "-o"]
        run([*draw, str(images / "reliability.png")], ROOT)
        run([*draw, str(images / "after.png"), "--calibrator", fitted], ROOT)
        watch = ["calibtool", "monitor", "docs/examples/days.parquet", "--time", "day", "--plot"]
        run([*watch, str(images / "monitor.png")], ROOT)
        run(["calibtool", "select", val, "--figure", str(images / "skill.png")], ROOT)
    line_of_rows(images / "scale.png")
    run([sys.executable, "benchmarks/focal_figures.py"], ROOT)
    gallery(images / "plots")


def line_of_rows(path: Path) -> None:
    """Seconds against rows, as benchmarks/scale.py measured them."""
    from matplotlib.figure import Figure

    record = results_of("scale")
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    axes = figure.subplots()
    for series, points in record["lines"].items():
        rows, seconds = zip(*points, strict=True)
        axes.plot(rows, seconds, marker="o", markersize=4, label=series)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=150)


def gallery(images: Path) -> None:
    """The pictures of docs/gallery/diagrams.md, by the commands that stand beside them."""
    images.mkdir(exist_ok=True)
    page = (DOCS / "gallery" / "diagrams.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
        for script, body in SCRIPT.findall(page):
            (folder / (script or "commands.sh")).write_text(body, encoding="utf-8")
            said = run(
                [sys.executable, script] if script else ["bash", "-e", "commands.sh"], folder
            )
            if "calibtool:" in said or "Traceback" in said:
                raise RuntimeError(f"docs/gallery/diagrams.md: {body}\n{said}")
        for path in images.glob("*.png"):
            path.unlink()
        for path in folder.glob("*.png"):
            shutil.copy(path, images / path.name)


if __name__ == "__main__":
    sys.exit(main())
