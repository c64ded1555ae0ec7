"""Populations whose true probabilities are known, and the true value of every metric on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import scipy.optimize
import scipy.spatial
from numpy.typing import NDArray

import calibtool as ct
from calibtool.data.rows import reduce_rows
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric, CountMetric, Counts, MatrixMetric, Score
from calibtool.metrics.profiles import Profile
from calibtool.metrics.simplex import skce_width
from calibtool.metrics.spec import Spec, parse

Floats = NDArray[np.float64]
CLASSES, BINS = 10, 15
SIGMA = 4.3  # of the true logits: an accuracy of about 90 %
ROWS = 500_000
# scenario -> the temperature that the calibrator of the paired difference divides by
SCENARIOS = {
    "T=1": 1 / 1.1,
    "T=1.1": 1.1,
    "T=1.3": 1.3 / 1.1,
    "T=2": 2.0,
    "T=0.7": 0.7,
    "wiggly": 1.1,
    "half": 1.2,
}


def population(rng: np.random.Generator, n: int, scenario: str) -> tuple[Floats, Floats]:
    """Reported and true probabilities of n rows."""
    z = SIGMA * rng.standard_normal((n, CLASSES))
    true = softmax(z)
    if scenario.startswith("T="):
        return softmax(float(scenario[2:]) * z), true
    reported, rows, top = true, np.arange(n), true.argmax(1)
    p = reported[rows, top]
    if scenario == "wiggly":
        q = np.clip(p + 0.05 * np.sin(8 * np.pi * p), 0.001, 0.999)
    else:  # half: calibrated up to 0.7, overconfident above
        q = np.where(p <= 0.7, p, 0.7 + 0.6 * (p - 0.7))
    true = reported * ((1 - q) / (1 - p + 1e-12))[:, None]
    true[rows, top] = q
    return reported, true / true.sum(1, keepdims=True)


def softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def cooled(p: Floats, temperature: float) -> Floats:
    """What temperature scaling makes of probabilities."""
    return softmax(np.log(p) / temperature)


@cache
def rows(scenario: str, temperature: float) -> tuple[Floats, Floats]:
    """Many rows of a population, after a calibrator."""
    p, q = population(np.random.default_rng(99), ROWS, scenario)
    return (p if temperature == 1 else cooled(p, temperature)), q


@cache
def truth(scenario: str, metric: str, temperature: float = 1.0) -> float:
    """The true value of a metric, from rows whose outcomes are their probabilities: no noise is
    left but that of the rows."""
    return true_value(parse(metric), *rows(scenario, temperature))


def true_value(spec: Spec, p: Floats, q: Floats) -> float:
    """A metric of reported probabilities p where the true ones are q."""
    metric, top = spec.metric, p.argmax(1)
    view = {"auto": "top", "clinical": "top", "ranks": "class"}.get(spec.view, spec.view)
    match metric:
        case Score() if "refined" in metric.needs:
            return recalibrated(metric.name, p, q)
        case Score():
            return mean_score(metric.rows, p, q)
        case CountMetric():
            mean = np.array(mean_score(metric.rows, p, q) if metric.rows else 0.0)
            own = np.take_along_axis(q, top[:, None], 1)[:, 0]
            said, hit = (np.bincount(top, w, CLASSES) / ROWS for w in (np.ones(ROWS), own))
            return float(metric.of(Counts(q.mean(0), said, hit, mean)))
        case MatrixMetric():
            return kernel_error(p[:4000], q[:4000])
        case CellMetric():
            values = [float(spec.of_truth(cells)) for cells in panels(p, q, view)]
            return float(np.average(values, weights=masses(p, view)))
        case _:
            return binned(replace(spec, view=view), p, q)


def binned(spec: Spec, p: Floats, q: Floats) -> float:
    found = list(panels(p, q, spec.view))
    pooled = [cells.pool(spec.edges(cells)) for cells in found]
    gap, mass = (np.zeros((len(pooled), max(len(c.at) for c in pooled))) for _ in range(2))
    for k, cells in enumerate(pooled):
        gap[k, : len(cells.at)] = (cells.y - cells.p) / ROWS
        mass[k, : len(cells.at)] = cells.n / ROWS
    if spec.view == "top":
        gap, mass = gap[0], mass[0]
    return float(spec.of_profile(Profile(gap, mass, np.zeros_like(gap)), truth=True))


def panels(p: Floats, q: Floats, view: str) -> Iterator[Cells]:
    """Cells of each panel of a view, with expected outcomes."""
    top = p.argmax(1)
    if view == "class":
        yield from (Cells.from_rows(p[:, k], q[:, k], np.ones(ROWS)) for k in range(CLASSES))
        return
    score, rate = (np.take_along_axis(x, top[:, None], 1)[:, 0] for x in (p, q))
    for k in range(CLASSES) if view == "label" else (None,):
        at = np.ones(ROWS, bool) if k is None else top == k
        yield Cells.from_rows(score[at], rate[at], np.ones(at.sum()))


def masses(p: Floats, view: str) -> Floats:
    if view == "label":
        return np.bincount(p.argmax(1), minlength=CLASSES) / ROWS
    return np.ones(CLASSES if view == "class" else 1)


def mean_score(score: Any, p: Floats, q: Floats) -> float:
    """The mean of a score over the labels that there could be."""
    total = 0.0
    for k in range(CLASSES):
        data = ct.Predictions.from_probs(p, np.full(ROWS, k))
        values = score(reduce_rows(data, want=("rank", "entropy")))
        total += float(np.where(q[:, k] > 0, q[:, k] * values, 0).mean())
    return total


def recalibrated(name: str, p: Floats, q: Floats) -> float:
    """NLL at the best temperature, or what it takes off."""

    def nll(t: float) -> float:
        return -float((q * np.log(np.maximum(cooled(p, t), 1e-300))).sum(1).mean())

    best = float(scipy.optimize.minimize_scalar(nll, (0.5, 1, 2)).fun)
    return best if name == "refinement-loss" else nll(1.0) - best


def kernel_error(p: Floats, q: Floats) -> float:
    """SKCE of expected residuals, over pairs of different rows."""
    d = q - p
    form = np.exp(-scipy.spatial.distance.cdist(p, p, "cityblock") / 2 / skce_width(p)) * (d @ d.T)
    return float((form.sum() - np.trace(form)) / (len(p) * (len(p) - 1)))


def seen(metric: str, scenario: str, n: int) -> float:
    """MCE or average CE of the bins that a data set of n rows can be expected to see."""
    p, q = population(np.random.default_rng(99), ROWS, scenario)
    (cells,) = panels(p, q, "top")
    pooled = cells.pool(np.arange(1, BINS + 1) / BINS)
    some = pooled.n >= ROWS / n
    gaps = np.abs((pooled.y - pooled.p)[some] / pooled.n[some])
    return float(gaps.max() if metric == "mce" else gaps.mean())


def true(metric: str, scenario: str, n: int) -> float:
    """The true value that an interval should contain."""
    if metric in ("mce", "average-ce"):
        return seen(metric, scenario, n)
    return truth(scenario, metric)
