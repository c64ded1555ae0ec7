"""The data of diagrams; render/ lays the ink."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from calibtool.cells import Cells
from calibtool.checks import Array
from calibtool.collect import Apply, Wanted, collect, unchanged, unit
from calibtool.evaluation import Calibrator, Readable, evaluate
from calibtool.measure import Progress, effective_rows
from calibtool.metrics.profiles import equal_width
from calibtool.report import Estimate, Report
from calibtool.spec import parse
from calibtool.threads import cores


@dataclass(frozen=True, eq=False)
class Curve:
    """One reliability curve.

    Attributes:
        label: what it shows.
        edges: (M,) upper edges of the bins.
        mass: (M,) share of the weight in each bin.
        score: (M,) mean score; NaN where a bin is empty.
        outcome: (M,) mean outcome (accuracy, for the top view); NaN where a bin is empty.
        low, high: (M,) interval of the outcome, by Wilson's score method.
        estimate: the ECE on these bins.
    """

    label: str
    edges: Array
    mass: Array
    score: Array
    outcome: Array
    low: Array
    high: Array
    estimate: Estimate


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram: its curves, and the report that the ECEs come from."""

    curves: tuple[Curve, ...]
    report: Report
    view: str


def reliability(
    predictions: Readable,
    *,
    bins: int = 15,
    calibrator: Calibrator | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reliability:
    """The data of a reliability diagram (Murphy & Winkler 1977; Niculescu-Mizil & Caruana 2005)."""
    spec = parse(f"ece(bins={bins})")
    report = evaluate(
        predictions,
        [spec],
        calibrator=calibrator,
        resamples=resamples,
        level=level,
        seed=seed,
        progress=progress,
    )
    view = report.estimates[0].view
    systems: list[Apply] = [unchanged] if calibrator is None else [unchanged, calibrator]
    blocks = predictions.blocks(unit(predictions.classes))
    found = collect(blocks, systems, wanted=Wanted(), draws=None, threads=cores())
    labels = ["as given"] if calibrator is None else ["before", "after"]
    estimates = [report.estimates[0], *report.after[:1]]
    curves = []
    for system, label, estimate in zip(found, labels, estimates, strict=True):
        score, outcome = system.rows.view(view)
        cells = Cells.from_rows(score, outcome, system.rows.weights)
        curves.append(curve(cells, bins, label, estimate, system.rows.weights, level))
    return Reliability(tuple(curves), report, view)


def curve(
    cells: Cells, bins: int, label: str, estimate: Estimate, weights: Array | None, level: float
) -> Curve:
    """Cells pooled into equal-width bins, with an interval for each mean outcome."""
    pooled = cells.pool(equal_width(cells, bins=bins))
    some = np.where(pooled.n > 0, pooled.n, np.nan)
    outcome = pooled.y / some
    mass = pooled.n / pooled.total
    low, high = wilson(outcome, mass * effective_rows(float(cells.total), weights), level)
    return Curve(label, pooled.at, mass, pooled.p / some, outcome, low, high, estimate)


def wilson(rate: Array, rows: Array, level: float) -> tuple[Array, Array]:
    """Interval of a binomial rate seen in so many rows (Wilson 1927).

    >>> low, high = wilson(np.array([0.5]), np.array([10.0]), 0.95)
    >>> float(low[0].round(3)), float(high[0].round(3))
    (0.237, 0.763)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    n = np.where(rows > 0, rows, np.nan)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)
