"""Ranking metrics against their definitions, written out row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest

import calibtool as ct
from calibtool.metrics.cells import Cells
from calibtool.metrics.conventions.ranking import rejection
from calibtool.metrics.ranking import accuracies_at, aurc, auroc
from calibtool.metrics.rejection import prr


def rows(n, decimals, seed=0):
    """Confidences, rounded so that some are equal, and whether they were right."""
    rng = np.random.Generator(np.random.PCG64(seed))
    score = np.round(rng.random(n), decimals)
    return score, (rng.random(n) < 0.2 + 0.7 * score).astype(float)


def mean_over_ties(score, right):
    """Outcomes, the most confident first, each replaced by the mean of its ties."""
    order = np.argsort(-score, kind="stable")
    means = {x: right[score == x].mean() for x in np.unique(score)}
    return np.array([means[x] for x in score[order]])


def area(right, rejected=1.0):
    """The error rate of the first share c of the rows, over a fine grid of c from 1 - rejected."""
    parts = 2000
    wrong = np.repeat(1 - right, parts)
    kept = np.arange(1, len(wrong) + 1)
    rates = (np.cumsum(wrong) - wrong / 2) / (kept - 0.5)
    return rates[kept > (1 - rejected) * len(wrong)].mean()


@pytest.mark.parametrize("rejected", [1.0, 0.5, 0.13])
@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("n", [7, 60])
def test_prr_is_the_share_of_what_the_best_order_gains(n, decimals, rejected):
    score, right = rows(n, decimals)
    found = area(mean_over_ties(score, right), rejected)
    best, rate = area(np.sort(right)[::-1], rejected), 1 - right.mean()
    cells = Cells.from_rows(score, right)
    ratio = (rate - found) / (rate - best)
    assert float(prr(cells, rejected=rejected)) == pytest.approx(ratio, abs=5e-3)
    if rejected == 1:
        assert float(aurc(cells)) == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("rejected", [1.0, 0.5])
@pytest.mark.parametrize("flip", [False, True])
def test_prr_is_what_lm_polygraph_prints_of_many_rows(rejected, flip):
    """Right less often than 1 - rejected, and more often."""
    score, right = rows(20_000, 9)
    right = (1 - right) * (score < 0.3) if flip else right
    theirs = rejection(score, right, most=rejected, normalized=True)
    ours = float(prr(Cells.from_rows(score, right), rejected=rejected))
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_prr_of_curves_that_count_rejected_rows_as_right_is_that_of_auroc():
    """The area between the wrong rows that are kept, of all, and those of a random order."""
    score, right = rows(300, 9)
    wrong = 1 - right[np.argsort(-score)]

    def kept(wrong):
        return (np.cumsum(wrong) - wrong / 2).mean() / len(wrong)

    best, random = kept(np.sort(wrong)), wrong.mean() / 2
    ratio = (random - kept(wrong)) / (random - best)
    assert ratio == pytest.approx(2 * float(auroc(Cells.from_rows(score, right))) - 1, abs=1e-9)


def test_prr_is_not_available_where_no_order_is_better():
    score = np.array([0.9, 0.8, 0.7])
    for right in (np.ones(3), np.zeros(3)):
        assert math.isnan(float(prr(Cells.from_rows(score, right))))


def test_prr_and_auarc_of_confidences_alone_have_intervals():
    p = ct.Predictions.from_confidence(*rows(400, 2))
    report = ct.evaluate(p, "aurc,auarc,prr", resamples=200)
    for estimate in report:
        assert estimate.low < estimate.value < estimate.high
    assert report["auarc"].value == pytest.approx(1 - report["aurc"].value)
    assert report["auarc"].low == pytest.approx(1 - report["aurc"].high, abs=5e-3)


@pytest.mark.parametrize("cells", [1, 6, 300])
def test_accuracies_at_several_coverages_are_those_at_each(cells):
    rng = np.random.default_rng(cells)
    at = np.sort(rng.random(cells))
    n = rng.gamma(1, size=(50, cells)) * rng.poisson(1, (50, cells))
    n[0] = 0  # a replicate without rows, whose accuracy is not defined
    y = n * rng.random((50, cells))
    coverages = [0.5, 0.02, 0.98, 1.0, 0.51, 0.5, 0.1]
    replicates = Cells(at, n, n * at, y)
    with np.errstate(invalid="ignore"):
        together = accuracies_at(replicates, coverages)
        for k, coverage in enumerate(coverages):
            alone = accuracies_at(replicates, [coverage])[:, 0]
            np.testing.assert_array_equal(together[:, k], alone)
    assert np.isnan(together[0]).all()
    wanted = 0.5 * n[1].sum()
    before = np.cumsum(n[1, ::-1]) - n[1, ::-1]
    counted = np.clip(wanted - before, 0, n[1, ::-1])
    rate = np.divide(y[1], n[1], out=np.zeros(cells), where=n[1] > 0)[::-1]
    expected = (counted * rate).sum() / wanted if wanted else np.nan
    assert together[1, 0] == pytest.approx(expected, nan_ok=True)
