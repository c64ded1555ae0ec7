"""docs/evidence/coverage.md, from the cells of coverage.py and the rows of intervals.py."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from populations import CLASSES, POPULATIONS, SCENARIOS

ENOUGH = 20  # intervals from which a cell's coverage says something: chance moves it by 5 points
AIM = 0.92

HEAD = f"""# Coverage of the intervals

**Question.** How often does a nominal 95 % interval contain the true value?

**Method.** Data sets are drawn from populations whose true values are known, and measured by
`calibtool.evaluate`. The aim is 92 to 99 % in every cell with an interval; more is acceptable if
the model is calibrated. Some data sets have no interval, because of too few events or because
nothing varied. The coverage is then that of the intervals given.

The true MCE of a data set is that of the bins in which it has rows, because no data say anything
about a bin without rows.

## The populations

They were chosen because intervals tend to fail there. No interval was tuned on them:

{{populations}}

There are also {CLASSES} classes whose logits are distorted. T=t reports the logits of a calibrated
model times t; above 1, it is overconfident. `wiggly` is off by 5 points, alternately up and down.
`half` is calibrated up to 0.7 and overconfident above.
"""

BESIDE = """
## Beside other intervals

Each data set is measured with all intervals, on the same 15 bins of equal width, so that all have
the same true value:

- `ours`, the default;
- the percentile, basic and BCa bootstraps (`--ci`);
- for RMSCE, the interval of Sun et al. (2024, arXiv 2408.08998), by the formulas of its authors'
  code (`benchmarks/intervals.py` states them). It is an interval for the square, around a debiased
  sum over bins, with a normal limit. Its lower end is 0 if their test does not reject calibration.
  It does not take weights.

The tables show the coverage in % and the mean width. Bold is the shortest interval that covers at
least 92 % (less two standard errors of the simulation).
"""


def page(found: Sequence[Any], beside_text: str = "") -> str:
    """The page of all cells."""
    dates = " and ".join(sorted({cell.made[:10] for cell in found}))
    counts = sorted({cell.simulations for cell in found})
    draws = sorted({cell.resamples for cell in found})
    error = 100 * np.sqrt(0.95 * 0.05 / counts[0])
    versions = f"calibtool {found[0].version}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    described = [f"- `{name}`: {_doc(make)}" for name, make in POPULATIONS.items()]
    lines = [
        HEAD.format(populations="\n".join(described)),
        f"**Script.** Made by `python benchmarks/coverage.py` on {dates} with",
        f"{versions}; do not edit.",
        f"Each cell has {_range(counts)} data sets, with {_range(draws)} replicates each (the",
        f"default for users is 1,000). With {counts[0]:,} data sets, a coverage of 95 % has a",
        f"standard error of {error:.1f} points. `benchmarks/results/coverage.csv` also has the",
        "sides on which intervals miss, and the date of each cell.",
        "",
        "## Every metric",
        "",
        *overview(found),
        "",
        "## Cells below 92 %",
        "",
        "Of many cells, some lie below by chance: see the standard error.",
        "",
        *misses(found),
        beside_text,
    ]
    for metric in dict.fromkeys(cell.metric for cell in found):
        lines += [
            "",
            f"## {metric}",
            "",
            *tables([cell for cell in found if cell.metric == metric]),
        ]
    return "\n".join(lines) + "\n"


def _doc(make: Callable[..., Any]) -> str:
    return " ".join((make.__doc__ or "").split())


def _range(counts: Sequence[int]) -> str:
    return f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def judged(found: Iterable[Any]) -> list[Any]:
    """The cells with enough intervals to judge."""
    return [
        cell
        for cell in found
        if cell.covered is not None and cell.given * cell.simulations >= ENOUGH
    ]


def overview(found: Sequence[Any]) -> list[str]:
    """A line per metric: its range of coverage, its worst cell, how wide its intervals are."""
    lines = [
        "`width` is the mean width over 3.92 standard deviations of the estimate, the median of",
        "the cells: 1 is that of a normal interval around an estimate without bias.",
        "",
        "| metric | cells | coverage | worst cell | width |",
        "| --- | --- | --- | --- | --- |",
    ]
    for metric in dict.fromkeys(cell.metric for cell in found):
        cells = judged(cell for cell in found if cell.metric == metric)
        if not cells:
            lines.append(f"| {metric} | 0 | too few intervals |  |  |")
            continue
        worst = min(cells, key=lambda cell: cell.covered)
        shares = [100 * cell.covered for cell in cells]
        wide = [cell.width / cell.spread for cell in cells if cell.spread and cell.width]
        lines.append(
            f"| {metric} | {len(cells)} | {min(shares):.0f} to {max(shares):.0f} % | "
            f"{worst.scenario}, n = {worst.n:,} | {np.median(wide) if wide else 0:.2f} |"
        )
    return lines


def misses(found: Iterable[Any]) -> list[str]:
    """The cells below the aim."""
    low = [cell for cell in judged(found) if cell.covered < AIM]
    return [
        f"- {c.metric}, {c.scenario}, n = {c.n:,}: {100 * c.covered:.1f} % of "
        f"{round(c.given * c.simulations):,} (misses: {100 * c.above:.1f} % too high, "
        f"{100 * c.below:.1f} % too low)"
        for c in sorted(low, key=lambda cell: cell.covered)
    ] or ["None."]


def tables(own: Sequence[Any]) -> list[str]:
    """The tables of a metric: the populations, and the ten classes."""
    lines: list[str] = []
    for names in (POPULATIONS, SCENARIOS):
        cells = [cell for cell in own if cell.scenario in names]
        if cells:
            lines += [*([""] if lines else []), *table(cells, list(names))]
    return lines


def table(own: Sequence[Any], names: Sequence[str]) -> list[str]:
    """A row per population, a column per size: coverage in %, and the mean width."""
    sizes = sorted({cell.n for cell in own})
    rejects = any(cell.rejected is not None for cell in own)
    head = ["population", *(f"n = {n:,}" for n in sizes), *(["p < .05"] if rejects else [])]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name in names:
        row = {cell.n: cell for cell in own if cell.scenario == name}
        if not row:
            continue
        shown = [_cell(row.get(n)) for n in sizes]
        if rejects:
            shares = [row[n].rejected for n in sizes if n in row]
            shown.append(" / ".join("" if x is None else f"{100 * x:.0f}" for x in shares))
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return lines


def _cell(cell: Any) -> str:
    """Coverage and width; and for how many data sets, if not for all."""
    if cell is None:
        return ""
    if cell.covered is None:
        return "none given"
    given = "" if cell.given == 1 else f" of {100 * cell.given:.0f} %"
    return f"{100 * cell.covered:.1f}{given}, {cell.width:.3g}"


# ------------------------------------------------------------------ beside other intervals


def beside(path: Path) -> str:
    """The section of the competitors, "" where they were not measured."""
    if not path.exists():
        return ""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [BESIDE.rstrip(), ""]
    counts = sorted({int(row["simulations"]) for row in rows})
    dates = " and ".join(sorted({row["made"][:10] for row in rows}))
    lines += [
        f"{_range(counts)} data sets a cell; made by `python benchmarks/intervals.py` on {dates}.",
    ]
    order = [*POPULATIONS, *SCENARIOS]
    for metric in dict.fromkeys(row["metric"] for row in rows):
        own = [row for row in rows if row["metric"] == metric]
        methods = list(dict.fromkeys(row["method"] for row in own))
        lines += ["", f"### {metric}", ""]
        lines += [
            f"| population | n | {' | '.join(methods)} |",
            f"|{' --- |' * (2 + len(methods))}",
        ]
        places = sorted(
            {(row["population"], int(row["n"])) for row in own},
            key=lambda place: (order.index(place[0]), place[1]),
        )
        for name, n in places:
            here = [r for r in own if r["population"] == name and int(r["n"]) == n]
            best = shortest(here)
            by_method = {row["method"]: _beside_cell(row, best) for row in here}
            shown = [by_method.get(method, "") for method in methods]
            lines.append(f"| {name} | {n:,} | {' | '.join(shown)} |")
        lines += ["", *_scores(own, methods)]
    return "\n".join(lines)


def covers(row: dict[str, str]) -> bool:
    """Whether a row covers 92 %, but for two standard errors."""
    error = np.sqrt(AIM * (1 - AIM) / int(row["simulations"]))
    return float(row["covered"]) >= AIM - 2 * error


def shortest(here: Sequence[dict[str, str]]) -> str:
    able = [row for row in here if covers(row)]
    return min(able, key=lambda row: float(row["width"]))["method"] if able else ""


def _beside_cell(row: dict[str, str], best: str) -> str:
    text = f"{100 * float(row['covered']):.0f}, {float(row['width']):.3g}"
    return f"**{text}**" if row["method"] == best else text


def _scores(own: Sequence[dict[str, str]], methods: Sequence[str]) -> list[str]:
    """In how many cells each covers, and its worst."""
    parts = []
    for method in methods:
        mine = [row for row in own if row["method"] == method]
        able = sum(covers(row) for row in mine)
        least = min(100 * float(row["covered"]) for row in mine)
        parts.append(f"{method} in {able} of {len(mine)} (worst {least:.0f} %)")
    return [f"Covers at least 92 %, but for chance: {', '.join(parts)}."]
