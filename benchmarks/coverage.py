"""How often calibtool's nominal 95 % intervals contain the truth: python benchmarks/coverage.py

Data sets are drawn from populations whose true values are known, and each is measured by
`calibtool.evaluate`, as a user would: all metrics of a group in one call. What was measured is
kept per data set in a folder that is named after the code (--raw), a batch at a time, so that a run
may be stopped and continued, or made in parts, and that gate.py judges the same data sets. The
shares go to results/coverage.csv, and from there to docs/evidence/coverage.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import coverage_page
import numpy as np
from numpy.typing import NDArray
from populations import POPULATIONS, SCENARIOS, Floats, draw
from truth import MEASURED, OF_SEEN_BINS, SLOW, measured, of_seen_bins, truth

import calibtool as ct
from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.maps import Power
from calibtool.metrics.registry import METRICS

HERE = Path(__file__).parent
PACKAGE = Path(ct.__file__).parent
SIZES = (100, 1_000, 10_000)
BATCH = 20  # data sets between two writes
# paired differences that `--calibrator` reports, by a fixed temperature
CHANGES = ("delta(ece)", "delta(classwise-ece)", "delta(ks)", "delta(nll)", "delta(brier)")
TEMPERATURE = 1.25
# without an interval, another name, of two files, or a statistic whose truth grows with n
OUT = ("simplex-ece", "canonical-kde-ece", "kde-ece", "sce", "ood-auroc", "ood-fpr95")
OUT += ("spiegelhalter", "hosmer-lemeshow", "atb", "calibration-lp")
VIEWS = ("smece(kernel=logit)", "ks(view=class)", "mmce(view=class)", "ks(view=label)")
VIEWS += ("mcb(score=log)", "dsc(score=log)", "ece(view=label)")
NUMBERS = ("value", "low", "high", "corrected", "error", "p_value")


@dataclass(frozen=True)
class Cell:
    """What was found for a metric in a population at a size; shares are of those given."""

    metric: str
    scenario: str
    n: int
    simulations: int
    given: float  # share of the data sets in which there is an interval
    truth: float
    covered: float | None
    above: float | None  # the interval lies wholly above the truth
    below: float | None
    width: float | None
    spread: float | None  # 3.92 standard deviations of the estimate
    rejected: float | None  # p < 0.05 of perfect calibration, or of no change
    seconds: float  # of a data set, all metrics of the group
    resamples: int
    version: str
    made: str


class Part(NamedTuple):
    """Data sets of a population at a size, by index, and the group that is measured on them."""

    name: str
    n: int
    group: str
    indices: tuple[int, ...]
    resamples: int


# ------------------------------------------------------------------ what is measured


def metrics_of(group: str, name: str) -> list[str]:
    """The metrics of a group that a population has."""
    kind = draw(np.random.default_rng(0), 2, name).kind
    mine = measured(kind)
    match group:
        case "fast":
            return [m for m in mine if m not in SLOW]
        case "slow":
            return [m for m in mine if m in SLOW]
        case "changes":
            return [] if kind == "confidence" else list(CHANGES)
        case "rest":  # every other metric, for the ten classes
            others = (m for m in METRICS if m not in OUT)
            return [m for m in (*others, *VIEWS) if m not in mine] if name in SCENARIOS else []
    return [m for m in group.split(";") if m in mine or name in SCENARIOS]


def temperature(name: str) -> float:
    return SCENARIOS.get(name, TEMPERATURE)


class Truths:
    """True values of metrics and of changes, kept in a file: they take a minute a population."""

    def __init__(self, folder: Path) -> None:
        made_by = hashlib.sha256((HERE / "truth.py").read_bytes()).hexdigest()[:8]
        self.path = folder / f"truths-{made_by}.json"
        self.known = json.loads(self.path.read_text()) if self.path.exists() else {}

    def __call__(self, metric: str, name: str, n: int, indices: Iterable[float]) -> Floats:
        """The true values that the intervals of these data sets should contain."""
        if metric in OF_SEEN_BINS:
            sets = [draw(generator(name, n, int(index)), n, name) for index in indices]
            return np.array([of_seen_bins(metric, name, rows) for rows in sets])
        key = f"{metric}|{name}"
        if key not in self.known:
            self.known[key] = self._true(metric, name)
            self.path.write_text(json.dumps(self.known))
        return np.full(len([*indices]), self.known[key])

    def _true(self, metric: str, name: str) -> float:
        if not metric.startswith("delta("):
            return truth(name, metric)
        plain = metric[6:-1]
        return truth(name, plain, temperature(name)) - truth(name, plain)


def measure(part: Part) -> NDArray[np.float64]:
    """NUMBERS, seconds and the index of each data set and metric: (data sets, metrics, 8)."""
    metrics = metrics_of(part.group, part.name)
    return np.array([_measure(part, metrics, i) for i in part.indices])


def generator(name: str, n: int, index: int) -> np.random.Generator:
    """What a data set is drawn with."""
    return np.random.default_rng([index, n, *name.encode()])


def _measure(part: Part, metrics: Sequence[str], index: int) -> list[list[float]]:
    rng = generator(part.name, part.n, index)
    data = draw(rng, part.n, part.name).sample(rng)
    options: dict[str, Any] = {"resamples": part.resamples, "seed": index, "threads": 1}
    began = time.process_time()
    if part.group == "changes":
        after = Calibrator("temperature", Power(temperature(part.name)), data.classes or 2)
        plain = [metric[6:-1] for metric in metrics]
        found = ct.evaluate(data, plain, calibrator=after, **options).change
    else:
        report = ct.evaluate(data, metrics, **options)
        found = [report[metric] for metric in metrics]
    seconds = time.process_time() - began
    return [[*(_number(getattr(one, key)) for key in NUMBERS), seconds, index] for one in found]


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def code() -> str:
    """A name for the code that decides the numbers."""
    folders = ("data", "evaluation", "intervals", "metrics")
    paths = [path for folder in folders for path in sorted((PACKAGE / folder).rglob("*.py"))]
    paths.append(HERE / "populations.py")
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


class Raw:
    """What was measured, in a folder: a file per population, size and group."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.gettempdir()) / f"calibtool-coverage-{code()}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str, n: int, group: str, resamples: int) -> Path:
        short = group if group.isalnum() else hashlib.sha256(group.encode()).hexdigest()[:8]
        return self.folder / f"{name}-{n}-{short}-{resamples}.npz"

    def read(self, path: Path) -> tuple[list[str], NDArray[np.float64]]:
        """Metrics, and (data sets, metrics, 8)."""
        if not path.exists():
            return [], np.empty((0, 1, len(NUMBERS) + 2))
        with np.load(path) as file:
            return file["metrics"].tolist(), file["numbers"]

    def add(self, part: Part, numbers: NDArray[np.float64]) -> None:
        path = self.path(part.name, part.n, part.group, part.resamples)
        _, known = self.read(path)
        if len(known):
            numbers = np.concatenate([known, numbers])
        metrics = metrics_of(part.group, part.name)
        np.savez(path.with_suffix(".new.npz"), metrics=metrics, numbers=numbers)
        path.with_suffix(".new.npz").replace(path)

    def every(self) -> Iterator[tuple[str, int, int, list[str], NDArray[np.float64]]]:
        """Name, size, resamples, metrics and numbers of each cell; those of the most data sets,
        where a cell was measured with several numbers of replicates."""
        best: dict[tuple[str, str, str], tuple[int, Path]] = {}
        for path in sorted(self.folder.glob("*.npz")):
            if path.name.endswith(".new.npz"):
                continue
            name, n, group, _ = path.stem.rsplit("-", 3)
            count = len(self.read(path)[1])
            if count >= best.get((name, n, group), (0, path))[0]:
                best[name, n, group] = count, path
        for (name, n, _), (_, path) in best.items():
            yield name, int(n), int(path.stem.rsplit("-", 1)[1]), *self.read(path)


def parts(
    raw: Raw, groups: Iterable[str], asked: argparse.Namespace, names: Iterable[str]
) -> list[Part]:
    """What is missing, a batch of each cell in turn, so that a run that is stopped has some of
    each."""
    missing = []
    for group in groups:
        for name in names:
            if not metrics_of(group, name):
                continue
            for n in asked.sizes:
                known = set(raw.read(raw.path(name, n, group, asked.resamples))[1][:, 0, -1])
                wanted = [i for i in range(asked.simulations) if i not in known]
                for at in range(0, len(wanted), BATCH):
                    batch = tuple(wanted[at : at + BATCH])
                    missing.append(Part(name, n, group, batch, asked.resamples))
    return sorted(missing, key=lambda part: part.indices[0])


# ------------------------------------------------------------------ shares


def cell(metric: str, name: str, n: int, resamples: int, rows: Floats, true_values: Floats) -> Cell:
    """The shares of one metric, from its numbers on each data set, (data sets, 8)."""
    value, low, high, corrected, _, p, seconds, _ = rows.T
    given = ~np.isnan(low) & ~np.isnan(high)
    low, high, true_value = low[given], high[given], true_values[given]
    centre = np.where(np.isnan(corrected), value, corrected)
    centre = centre[np.isfinite(centre)]
    near = 1e-9 * np.maximum(
        1.0, np.abs(true_value)
    )  # an end that is the truth but for rounding contains it
    return Cell(
        metric,
        name,
        n,
        len(rows),
        share(given),
        float(f"{true_values.mean():.6g}"),
        *(
            share(hits) if len(low) else None
            for hits in (
                (low <= true_value + near) & (true_value - near <= high),
                low > true_value + near,
                high < true_value - near,
            )
        ),
        float(f"{np.mean(high - low):.4g}") if len(low) else None,
        float(f"{3.92 * centre.std():.4g}") if len(centre) else None,
        None if np.isnan(p).all() else share(p < 0.05),
        round(float(seconds.mean()), 3),
        resamples,
        ct.__version__,
        time.strftime("%Y-%m-%d %H:%M"),
    )


def share(hits: NDArray[np.bool_]) -> float:
    return round(float(hits.mean()), 4)


# ------------------------------------------------------------------ files


def place(metric: str, scenario: str, n: int) -> tuple[int, int, int]:
    """Where a cell stands: metrics in the order in which they are listed, changes last."""
    metrics = [*MEASURED, *METRICS, *VIEWS, *CHANGES]
    at = metrics.index(metric) if metric in metrics else len(metrics)
    return at, [*POPULATIONS, *SCENARIOS].index(scenario), n


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
            one = Cell(**read)  # type: ignore[arg-type]
            found[one.metric, one.scenario, one.n] = one
    return found


def write(path: Path, found: Iterable[Cell]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Cell)])
        writer.writeheader()
        writer.writerows(asdict(one) for one in found)


def run(raw: Raw, todo: Sequence[Part], jobs: int, minutes: float) -> None:
    """Measure the parts, by processes; none is begun after so many minutes."""
    began = time.monotonic()
    due = iter(todo)

    def unless_late() -> Iterator[Part]:
        for part in due:
            if time.monotonic() - began > 60 * minutes:
                print(f"{minutes:g} minutes are over; run again to go on", flush=True)
                return
            yield part

    running: dict[Part, Any] = {}
    waiting, done = unless_late(), 0
    with multiprocessing.Pool(jobs) as pool:
        while True:
            # a part is begun only when a process is free, so that the limit of time holds
            while len(running) < jobs and (part := next(waiting, None)) is not None:
                running[part] = pool.apply_async(measure, (part,))
            if not running:
                return
            ready = [part for part, result in running.items() if result.ready()]
            if not ready:
                time.sleep(0.02)
            for part in ready:
                raw.add(part, running.pop(part).get())
                done += 1
                spent = (time.monotonic() - began) / 60
                print(f"{spent:5.1f} min, {done} of {len(todo)}: {part[:3]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=300, help="a cell; 0: only the page")
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--populations", nargs="*", default=[*POPULATIONS])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="rows a data set")
    parser.add_argument(
        "--groups",
        nargs="*",
        default=["fast", "slow", "changes"],
        help='some of fast, slow, changes, rest, or names separated by ";"',
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing after these")
    parser.add_argument("--forget", default="", help="drop cells that were made before this date")
    parser.add_argument("--raw", type=Path, help="the folder of what was measured")
    parser.add_argument("--out", type=Path, help="a folder for both, instead of their places")
    options = parser.parse_args()
    results = (options.out or HERE / "results") / "coverage.csv"
    text = (options.out or HERE.parent / "docs" / "evidence") / "coverage.md"
    results.parent.mkdir(parents=True, exist_ok=True)
    raw = Raw(options.raw)
    run(
        raw, parts(raw, options.groups, options, options.populations), options.jobs, options.minutes
    )
    found = {key: one for key, one in load(results).items() if one.made >= options.forget}
    truths = Truths(raw.folder)
    for name, n, resamples, known, numbers in raw.every():
        for metric, rows in zip(known, numbers.transpose(1, 0, 2), strict=True):
            one = cell(metric, name, n, resamples, rows, truths(metric, name, n, rows[:, -1]))
            found[metric, name, n] = one
    ordered = sorted(found.values(), key=lambda one: place(one.metric, one.scenario, one.n))
    write(results, ordered)
    beside = coverage_page.beside(HERE / "results" / "intervals.csv")
    text.write_text(coverage_page.page(ordered, beside))


if __name__ == "__main__":
    main()
