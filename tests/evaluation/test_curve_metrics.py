"""Metrics of curves, several at a time."""

from __future__ import annotations

import time

import numpy as np

import calibtool as ct
from calibtool.evaluation import curve_metrics
from calibtool.metrics.spec import Spec
from calibtool.parallel import ordered


def test_what_takes_longest_begins_first(monkeypatch):
    rng = np.random.default_rng(0)
    p = rng.random(300)
    rows = ct.Predictions.from_probs(p, (rng.random(300) < p).astype(int))
    of_cells, begun = Spec.of_cells, []

    def slow(spec, cells):
        if spec.name == "auroc":
            time.sleep(0.1)
        return of_cells(spec, cells)

    def told(work, items, threads):
        begun.append(list(items))
        return ordered(work, items, threads)

    def intervals():
        report = ct.evaluate(rows, "citl,cox-slope,auroc", resamples=50)
        return [(each.value, each.low, each.high) for each in report.estimates]

    expected = intervals()
    monkeypatch.setattr(curve_metrics, "ordered", told)
    monkeypatch.setattr(Spec, "of_cells", slow)
    assert intervals() == expected
    drawn = [names for names in begun if len(names) == 3]
    assert drawn
    assert all(names[0] == "auroc" for names in drawn)
