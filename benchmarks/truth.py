"""The true value of every metric on the populations of populations.py: python benchmarks/truth.py

From very many rows whose outcomes are their true probabilities: no noise is left but that of the
rows. Run as a script, it holds these values to a second computation, with drawn outcomes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import scipy.optimize
import scipy.spatial
from populations import POPULATIONS, SCENARIOS, Floats, Rows, draw, softmax

import calibtool as ct
from calibtool.errors import CalibtoolError
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric, CountMetric, MatrixMetric, Score
from calibtool.metrics.profiles import Profile
from calibtool.metrics.simplex import skce_width
from calibtool.metrics.spec import Spec, parse

BINS = 15
ROWS = 500_000
SEED = 99
CURVE = 2_000  # points of a curve: 250 rows each

# what is measured of the populations, and of which kinds: c classes, b binary, k confidence alone
MEASURED = {
    "accuracy": "cbk",
    "nll": "cb",
    "nll(view=top)": "k",
    "brier": "cb",
    "brier(view=top)": "k",
    "bias": "cbk",
    "ece(view=top)": "cbk",
    "ece(view=positive)": "b",
    "ada-ece": "cbk",
    "rmsce": "cbk",
    "mce": "cbk",
    "classwise-ece": "cb",
    "tace": "cb",
    "debiased-ece": "cbk",
    "kde-ece": "cbk",
    "smece": "cbk",
    "ks": "cbk",
    "kuiper": "cbk",
    "mmce": "cbk",
    "ici": "cbk",
    "auroc": "cb",
    "auroc-correct": "k",
    "aurc": "cbk",
    "prr": "cbk",
    "coverage-at-risk": "cbk",
    "cox-slope": "cbk",
    "citl": "cbk",
    "oe-ratio": "cbk",
    "net-benefit": "b",
    "brier-skill": "cb",
    "mcb": "cbk",
}
# what of them is about the bins that a data set sees
OF_SEEN_BINS = ("mce", "average-ce")
# two thirds of the time of all of them; they can be measured on fewer data sets
SLOW = ("kde-ece", "smece", "ici", "tace", "mcb")


def measured(kind: str) -> list[str]:
    """Metrics of a kind of rows, without those that this calibtool does not know."""
    letter = {"classes": "c", "binary": "b", "confidence": "k"}[kind]
    return [metric for metric, kinds in MEASURED.items() if letter in kinds and _known(metric)]


def _known(metric: str) -> bool:
    try:
        parse(metric)
    except CalibtoolError:
        return False
    return True


@cache
def population_rows(name: str, temperature: float = 1.0) -> Rows:
    """Very many rows of a population, after a calibrator."""
    rows = draw(np.random.default_rng(SEED), ROWS, name)
    if temperature == 1:
        return rows
    score = cooled(rows.columns().score, temperature)
    return replace(rows, score=score[:, 1] if rows.kind == "binary" else score)


def cooled(p: Floats, temperature: float) -> Floats:
    """What temperature scaling makes of probabilities."""
    return softmax(np.log(p) / temperature)


@cache
def truth(name: str, metric: str, temperature: float = 1.0) -> float:
    """The true value of a metric, as the rows have it, seen or not."""
    return true_value(parse(metric), population_rows(name, temperature))


def true_value(spec: Spec, rows: Rows) -> float:
    """A metric of rows whose outcomes are their true probabilities."""
    metric = spec.metric
    spec = replace(spec, view=resolved(spec.view, rows))
    match metric:
        case Score() if "refined" in metric.needs:
            return recalibrated(metric.name, rows.columns())
        case Score() | CountMetric():
            return over_outcomes(spec, rows)
        case MatrixMetric():
            return kernel_error(rows.score[:4000], rows.rate[:4000])
        case CellMetric():
            found = list(panels(rows, spec.view))
            mass = [cells.n.sum() for cells in found]
            # a target is a function of the curve: the mean rate at a score, which rows of many
            # classes have scattered around it
            curves = found if metric.target is None else [fine(cells) for cells in found]
            values = [float(spec.of_truth(cells)) for cells in curves]
            return float(np.average(values, weights=mass if spec.view == "label" else None))
        case _:
            return binned(spec, rows)


def resolved(view: str, rows: Rows) -> str:
    """A view by its name: "auto", "clinical" and "ranks" depend on the rows."""
    if view not in ("auto", "clinical", "ranks"):
        return view
    if rows.kind == "binary":
        return "positive"
    return "class" if view == "ranks" else "top"


def binned(spec: Spec, rows: Rows) -> float:
    found = list(panels(rows, spec.view))
    pooled = [cells.pool(spec.edges(cells)) for cells in found]
    gap, mass = (np.zeros((len(pooled), max(len(c.at) for c in pooled))) for _ in range(2))
    total = rows.mass.sum()
    for k, cells in enumerate(pooled):
        gap[k, : len(cells.at)] = (cells.y - cells.p) / total
        mass[k, : len(cells.at)] = cells.n / total
    if spec.view in ("top", "positive"):
        gap, mass = gap[0], mass[0]
    return float(spec.of_profile(Profile(gap, mass, np.zeros_like(gap)), truth=True))


def panels(rows: Rows, view: str) -> Iterator[Cells]:
    """Cells of each panel of a view, with expected outcomes."""
    if view == "positive" or rows.kind == "confidence":
        yield Cells.from_rows(rows.score, rows.rate, rows.mass)
        return
    rows = rows.columns()
    classes = rows.score.shape[1]
    if view == "class":
        for k in range(classes):
            yield Cells.from_rows(rows.score[:, k], rows.rate[:, k], rows.mass)
        return
    top = rows.score.argmax(1)
    score, rate = (np.take_along_axis(x, top[:, None], 1)[:, 0] for x in (rows.score, rows.rate))
    for k in range(classes) if view == "label" else (None,):
        at = np.ones(len(top), bool) if k is None else top == k
        yield Cells.from_rows(score[at], rate[at], rows.mass[at])


def fine(cells: Cells) -> Cells:
    """The cells pooled to CURVE of equal mass."""
    at = np.searchsorted(np.cumsum(cells.n), np.arange(1, CURVE) / CURVE * cells.n.sum())
    return cells.pool(np.unique(np.append(cells.at[at], 1.0)))


def over_outcomes(spec: Spec, rows: Rows) -> float:
    """A mean of rows, or a function of counts: every row once with every label that it could have,
    weighted by the label's probability."""
    rate = rows.rate if rows.kind == "classes" else np.stack([1 - rows.rate, rows.rate], axis=1)
    classes = rate.shape[1]
    every = Rows(rows.kind, np.concatenate([rows.score] * classes), rate)
    labels = np.repeat(np.arange(classes), len(rate))
    weights = (rate * rows.mass[:, None]).T.ravel()
    data = every.predictions(labels, weights)
    return float(ct.evaluate(data, [spec.name], ci="none")[spec.name].value)


def recalibrated(name: str, rows: Rows) -> float:
    """NLL at the best temperature, or what it takes off."""
    p, q = rows.score, rows.rate

    def nll(t: float) -> float:
        return -float((q * np.log(np.maximum(cooled(p, t), 1e-300))).sum(1).mean())

    best = float(scipy.optimize.minimize_scalar(nll, (0.5, 1, 2)).fun)
    return best if name == "refinement-loss" else nll(1.0) - best


def kernel_error(p: Floats, q: Floats) -> float:
    """SKCE of expected residuals, over pairs of different rows."""
    d = q - p
    form = np.exp(-scipy.spatial.distance.cdist(p, p, "cityblock") / 2 / skce_width(p)) * (d @ d.T)
    return float((form.sum() - np.trace(form)) / (len(p) * (len(p) - 1)))


@cache
def true_gaps(name: str) -> Floats:
    """The true gap of each bin of a population, 0 in one that it lacks."""
    pooled = bins_of(population_rows(name))
    return np.abs(pooled.y - pooled.p) / np.maximum(pooled.n, 1e-300)


def bins_of(rows: Rows) -> Cells:
    (cells,) = panels(rows, resolved("auto", rows))
    return cells.pool(np.arange(1, BINS + 1) / BINS)


def of_seen_bins(metric: str, name: str, rows: Rows) -> float:
    """The true MCE or average CE of the bins in which a data set has rows."""
    gaps = true_gaps(name)[bins_of(rows).n > 0]
    return float(gaps.max() if metric == "mce" else gaps.mean())


# ------------------------------------------------------------------ the second computation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--populations", nargs="*", default=[*POPULATIONS, *SCENARIOS])
    parser.add_argument("--metrics", nargs="*")
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    for name in options.populations:
        rows = draw(np.random.default_rng(1), options.rows, name)
        data = rows.sample(np.random.default_rng(2))
        metrics = options.metrics or measured(rows.kind)
        drawn = ct.evaluate(data, metrics, resamples=200)
        for metric in metrics:
            one = drawn[metric]
            seen = metric in OF_SEEN_BINS
            value = of_seen_bins(metric, name, rows) if seen else truth(name, metric)
            error = one.error or np.nan
            print(
                f"{name:11} {metric:19} true {value:8.5f} drawn {one.value:8.5f} "
                f"corrected {one.corrected or np.nan:8.5f} "
                f"errors apart {(value - (one.corrected or np.nan)) / error:5.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
