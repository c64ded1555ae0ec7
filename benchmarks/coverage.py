"""How often calibtool's nominal 95 % intervals contain the truth: python benchmarks/coverage.py

Data sets are drawn from populations whose true calibration errors are known, and each is measured
by `calibtool.evaluate`, as a user would. Writes results/coverage.csv and docs/coverage.md, after
every cell, so that what is there of an interrupted run is whole.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from truth import CLASSES, SCENARIOS, population, true, truth

import calibtool as ct
from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.maps import Power
from calibtool.metrics.registry import METRICS

HERE = Path(__file__).parent
FIRST = ("ece", "mce", "ada-ece", "rmsce", "classwise-ece")
CHANGE = "ece, after minus before"
# without an interval, another name, of two files, or a statistic whose truth grows with n
OUT = ("simplex-ece", "canonical-kde-ece", "kde-ece", "sce", "ood-auroc", "ood-fpr95")
OUT += ("spiegelhalter", "hosmer-lemeshow")
REST = (
    *(name for name in METRICS if name not in FIRST + OUT),
    *("smece(kernel=logit)", "ks(view=class)", "mmce(view=class)"),
    *("ks(view=label)", "mcb(score=log)", "dsc(score=log)", "ece(view=label)"),
)
SIZES = (500, 2_000, 10_000)


@dataclass(frozen=True)
class Cell:
    """What was found for a metric in a scenario at a size; shares are of all simulations."""

    metric: str
    scenario: str
    n: int
    simulations: int
    truth: float
    inverted: float
    percentile: float | None
    above: float  # the interval lies wholly above the truth
    below: float
    width: float
    rejected: float | None  # p < 0.05 of perfect calibration
    seconds: float  # of all metrics of the scenario
    resamples: int
    version: str
    made: str


# ------------------------------------------------------------------ simulations

Interval = tuple[float, float, float | None]  # low, high, p-value


def simulate(
    rng: np.random.Generator,
    n: int,
    scenario: str,
    metrics: Sequence[str],
    resamples: int,
    seed: int,
) -> dict[str, tuple[Interval, Interval | None]]:
    """A data set, and by metric its inverted and its percentile interval."""
    p, q = population(rng, n, scenario)
    y = (q.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, CLASSES - 1)
    data = ct.Predictions.from_probs(p, y)
    options: dict[str, Any] = {"resamples": resamples, "seed": seed, "threads": 1}
    found: dict[str, tuple[Interval, Interval | None]] = {}
    errors = [metric for metric in metrics if metric != CHANGE]
    if errors:
        inverted = ct.evaluate(data, errors, **options)
        found = {m: (interval(inverted[m]), None) for m in errors}
        first = [metric for metric in errors if metric in FIRST]
        if first:
            plain = ct.evaluate(data, first, ci="percentile", **options)
            found |= {m: (interval(inverted[m]), interval(plain[m])) for m in first}
    if CHANGE in metrics:
        after = Calibrator("temperature", Power(SCENARIOS[scenario]), CLASSES)
        change = ct.evaluate(data, ["ece"], calibrator=after, **options).change[0]
        found[CHANGE] = interval(change), None
    return found


def interval(estimate: Any) -> Interval:
    return estimate.low, estimate.high, estimate.p_value


def cells(
    scenario: str, n: int, metrics: Sequence[str], simulations: int, resamples: int
) -> Iterator[Cell]:
    """Some metrics in one scenario at one size."""
    start = time.perf_counter()
    rng = np.random.default_rng([1, list(SCENARIOS).index(scenario), n])
    found = [simulate(rng, n, scenario, metrics, resamples, seed) for seed in range(simulations)]
    seconds = time.perf_counter() - start
    for metric in found[0]:
        if metric == CHANGE:
            value = truth(scenario, "ece", SCENARIOS[scenario]) - truth(scenario, "ece")
        else:
            value = true(metric, scenario, n)
        low, high, p = (np.array([x[metric][0][k] for x in found], dtype=float) for k in range(3))
        plain = np.array([x[metric][1] or (np.nan,) * 3 for x in found], dtype=float)
        yield Cell(
            metric,
            scenario,
            n,
            simulations,
            round(value, 6),
            share((low <= value) & (value <= high)),
            share((plain[:, 0] <= value) & (value <= plain[:, 1])) if metric in FIRST else None,
            share(low > value),
            share(high < value),
            round(float((high - low).mean()), 6),
            None if np.isnan(p).all() else share(p < 0.05),
            round(seconds, 1),
            resamples,
            ct.__version__,
            time.strftime("%Y-%m-%d %H:%M"),
        )


def share(hits: NDArray[np.bool_]) -> float:
    return round(float(hits.mean()), 4)


# ------------------------------------------------------------------ the page


def page(found: Sequence[Cell]) -> str:
    """docs/coverage.md."""
    others, found = (
        [c for c in found if c.metric in REST],
        [c for c in found if c.metric not in REST],
    )
    fewest = min(cell.simulations for cell in found)
    error = 100 * np.sqrt(0.95 * 0.05 / fewest)
    resamples = found[0].resamples
    versions = f"calibtool {found[0].version}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    dates = " and ".join(sorted({cell.made[:10] for cell in found}))
    lines = [
        "# Coverage of the intervals",
        "",
        "How often does a nominal 95 % interval contain the true value? Data sets are drawn from",
        f"populations of {CLASSES} classes whose true errors are known, and measured by",
        "`calibtool.evaluate`; 93 to 97 % is the aim, and more is acceptable where the model is",
        "calibrated. In brackets, what `--ci percentile` covers on the same data. `width` is the",
        "mean width of the default interval, `p < .05` how often its p-value rejects perfect",
        "calibration, in %: at T=1 that should be 5, elsewhere it is power.",
        "",
        "T=t reports the logits of a calibrated model times t: above 1 it is overconfident.",
        "`wiggly` is off by 5 points, up and down in turn, `half` is calibrated up to 0.7 and",
        "overconfident above. The true MCE is that of the bins that hold at least 1/n of the",
        "population: no data tell about a bin that is never seen.",
        "",
        f"Made by `python benchmarks/coverage.py --simulations {fewest} --resamples {resamples}`",
        f"on {dates} with {versions}; do not edit.",
        "The data sets of a cell come from seed [1, scenario, n], the replicates of the i-th from",
        f"seed i. They are {resamples:,} a data set; a user gets 1,000 by default.",
        f"With {_counts(found)}, a coverage of 95 % is known to within {error:.1f}",
        "points (one standard error). `benchmarks/results/coverage.csv` has the sides on which the",
        "intervals miss, and when each cell was made.",
    ]
    for metric in (*FIRST, CHANGE):
        own = [c for c in found if c.metric == metric]
        if own:
            lines += ["", f"## {metric}", "", *(_change_text() if metric == CHANGE else [])]
            lines += table(own)
    lines += _others(others)
    low = sorted((c for c in found if c.inverted < 0.93), key=lambda c: c.inverted)
    low += sorted((c for c in others if c.inverted < 0.9), key=lambda c: c.inverted)
    lines += ["", "## Cells below 93 %, or below 90 % among the others", ""]
    lines += ["The most extreme of many cells lie below by chance: see the standard error.", ""]
    lines += [
        f"- {c.metric}, {c.scenario}, n = {c.n:,}: {100 * c.inverted:.1f} % (misses: "
        f"{100 * c.above:.1f} % too high, {100 * c.below:.1f} % too low)"
        for c in low
    ] or ["None."]
    return "\n".join(lines) + "\n"


def _others(found: Sequence[Cell]) -> list[str]:
    """One table of all other metrics."""
    if not found:
        return []
    columns = sorted(
        {(c.n, c.scenario) for c in found}, key=lambda x: (x[0], list(SCENARIOS).index(x[1]))
    )
    known = {(c.metric, c.n, c.scenario): c for c in found}
    error = 100 * np.sqrt(0.95 * 0.05 / found[0].simulations)
    lines = [
        "",
        "## Every other metric",
        "",
        f"Coverage in %, {found[0].simulations} data sets a cell, {found[0].resamples} replicates:",
        f"95 % is known to within {error:.1f} points. Made by `benchmarks/coverage.py --metrics",
        f"rest --simulations {found[0].simulations} --resamples {found[0].resamples}`.",
        "",
        f"| metric | {' | '.join(f'{s}, {n:,}' for n, s in columns)} |",
        f"|{' --- |' * (1 + len(columns))}",
    ]
    for metric in dict.fromkeys(c.metric for c in found):
        cells = [known.get((metric, n, s)) for n, s in columns]
        shown = [f"{100 * c.inverted:.0f}" if c else "" for c in cells]
        lines.append(f"| {metric} | {' | '.join(shown)} |")
    return lines


def _change_text() -> list[str]:
    return [
        "The paired difference that `--calibrator` reports, ECE after minus before, where the",
        "calibrator divides by a fixed temperature (in brackets).",
        "",
    ]


def _counts(found: Sequence[Cell]) -> str:
    counts = sorted({cell.simulations for cell in found})
    many = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{many} data sets a cell"


def table(own: Sequence[Cell]) -> list[str]:
    sizes = sorted({c.n for c in own})
    head = ["scenario", *(f"n = {n:,}" for n in sizes), "width", "p < .05"]
    head = head[: None if own[0].rejected is not None else -1]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for scenario in dict.fromkeys(c.scenario for c in own):
        row = {c.n: c for c in own if c.scenario == scenario}
        ordered = [row[n] for n in sizes if n in row]
        after = "" if own[0].rejected is not None else f" (/{SCENARIOS[scenario]:.3g})"
        coverage = [_coverage(row.get(n)) for n in sizes]
        width = " / ".join(f"{c.width:.3g}" for c in ordered)
        rejected = " / ".join(f"{100 * (c.rejected or 0):.0f}" for c in ordered)
        line = [f"{scenario}{after}", *coverage, width, rejected][: len(head)]
        lines.append(f"| {' | '.join(line)} |")
    return lines


def _coverage(cell: Cell | None) -> str:
    if cell is None:
        return ""
    plain = "" if cell.percentile is None else f" [{100 * cell.percentile:.0f}]"
    return f"{100 * cell.inverted:.1f}{plain}"


def load(path: Path) -> dict[tuple[str, str, int], Cell]:
    """The cells of an earlier run, by metric, scenario and n."""
    if not path.exists():
        return {}
    kinds: dict[str, Any] = {"n": int, "simulations": int, "resamples": int}
    kinds |= dict.fromkeys(("metric", "scenario", "version", "made"), str)
    found = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            read = {k: kinds.get(k, float)(v) if v else None for k, v in row.items()}
            cell = Cell(**read)  # type: ignore[arg-type]
            found[cell.metric, cell.scenario, cell.n] = cell
    return found


def write(path: Path, found: Sequence[Cell]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Cell)])
        writer.writeheader()
        writer.writerows(asdict(cell) for cell in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=300, help="a cell; 0: only the page")
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="some of %(default)s")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="rows a data set")
    parser.add_argument(
        "--metrics",
        default="first",
        help='first, rest, or names separated by ";"; other cells of the csv stay as they are',
    )
    parser.add_argument("--out", type=Path, help="a folder for both, instead of their places")
    options = parser.parse_args()
    results = (options.out or HERE / "results") / "coverage.csv"
    text = (options.out or HERE.parent / "docs") / "coverage.md"
    results.parent.mkdir(parents=True, exist_ok=True)
    sets = {"first": (*FIRST, CHANGE), "rest": REST}
    metrics = sets.get(options.metrics) or options.metrics.split(";")
    todo = [
        (n, s) for n in map(int, options.sizes.split(",")) for s in options.scenarios.split(",")
    ]
    for n, scenario in todo if options.simulations else ():
        found = load(results)
        for cell in cells(scenario, n, metrics, options.simulations, options.resamples):
            found[cell.metric, cell.scenario, cell.n] = cell
            print(*asdict(cell).values(), flush=True)
        write(results, list(found.values()))
    text.write_text(page(list(load(results).values())))


if __name__ == "__main__":
    main()
