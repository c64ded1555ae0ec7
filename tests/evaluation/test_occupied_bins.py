"""Many classes: replicates of the bins that hold rows alone, which change no digit."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.errors import UsageError
from calibtool.evaluation import occupied_bins, perfect, resampling
from calibtool.evaluation.occupied_bins import OccupiedBins
from calibtool.metrics.grammar import NORMS
from calibtool.metrics.profiles import Profile

NAMES = ["classwise-ece", "classwise-ece(without=1)"]
NAMES += [f"ece(view=class,norm={norm})" for norm in NORMS if norm != "l1"]


def many_classes(rows, classes, *, weighted=False):
    rng = np.random.default_rng(rows)
    z = 2.5 * rng.standard_normal((rows, classes), dtype=np.float32)
    labels = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    weights = rng.random(rows) + 0.5 if weighted else None
    return ct.Predictions.from_logits(1.3 * z, labels, weights=weights)


# outcomes of few rows are drawn row by row
@pytest.mark.parametrize(("few", "weighted"), [(True, False), (False, True)])
def test_bins_without_rows_change_no_digit(monkeypatch, few, weighted):
    p = many_classes(50, 40, weighted=weighted)
    monkeypatch.setattr(perfect, "MOST", 1 << 19 if few else 0)
    how = {"resamples": 420, "threads": 1}  # in four groups; the band asks for 400
    listed = ct.evaluate(p, NAMES, **how)
    monkeypatch.setattr(occupied_bins, "MOST", 0)
    assert list(ct.evaluate(p, NAMES, **how)) == list(listed)


@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_occupied_bins_are_those_of_all(norm):
    rng = np.random.default_rng(0)
    bins = OccupiedBins.of(np.array([1, 9, 10, 14]), 5, 4)
    mass, gap, score = np.zeros((3, 20)), np.zeros((3, 20)), np.zeros(20)
    mass[:, bins.at] = rng.random((3, len(bins.at)))
    gap[:, bins.at] = 0.1 * rng.standard_normal((3, len(bins.at)))
    score[bins.at] = rng.random(len(bins.at))
    some = Profile(gap[:, bins.at], mass[:, bins.at], score[bins.at], 50)
    every = Profile(*(x.reshape(-1, 5, 4) for x in (gap, mass)), score.reshape(5, 4), 50)
    assert np.array_equal(bins.of_each(NORMS[norm], some), NORMS[norm](every))


def test_thousands_of_classes_fit_where_few_of_their_bins_hold_rows(monkeypatch):
    p = many_classes(50, 2000)
    monkeypatch.setattr(resampling, "MAX_REPLICATE_BYTES", 2000 * 15 * 8 * 100 // 4)
    report = ct.evaluate(p, ["classwise-ece"], resamples=100)
    assert report["classwise-ece"].high > 0
    # of bins that no class shares, all have replicates
    with pytest.raises(UsageError, match="use --resamples 25 or fewer"):
        ct.evaluate(p, ["ada-ece(view=class)"], resamples=100)
    # fewer resamples fit where many of the shared bins hold rows, too
    with pytest.raises(UsageError, match=r"of 2,[0-9]{3} bins do not fit in memory; use"):
        ct.evaluate(p, ["classwise-ece"], resamples=400)
