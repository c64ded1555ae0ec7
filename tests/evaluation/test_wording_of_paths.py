"""A run in memory and one from cells say the same of the same data, in the same words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import calibtool as ct
from calibtool.errors import InputError
from calibtool.evaluation import request
from calibtool.evaluation.unseen_classes import FEW_OF_CELLS

METRICS = "default,cox-slope,citl,nll(view=top),nce,nll-skill,brier-skill,macro-f1,auroc"
METRICS += ",skce,calibration-loss,top-label-ece,top-k-accuracy(k=2),nll(view=positive)"
# only rows know which row it was, and only they can be measured whole
BY_ROWS = re.compile(r" \((?:the first is )?row \d+, counting from 0\)")
ONLY_ROWS = ("skce", "calibration-loss")


def refuted(rows=60):
    rng = np.random.Generator(np.random.PCG64(0))
    score = rng.random(rows).astype(np.float32)
    outcome = (rng.random(rows) < score).astype(int)
    score[17], outcome[17] = 1, 0
    return score, outcome


def data():
    score, outcome = refuted()
    hit = (score > 0.5) == outcome
    rng = np.random.Generator(np.random.PCG64(1))
    probs = rng.dirichlet(np.ones(3), 60)
    probs[5] = [1, 0, 0]
    labels = np.arange(60) % 3
    labels[5] = 1
    return {
        "one column": ct.Predictions.from_probs(score, outcome),
        "two columns": ct.Predictions.from_probs(np.stack([1 - score, score], 1), outcome),
        "weighted": ct.Predictions.from_probs(score, outcome, weights=np.arange(60) % 3),
        "confidence": ct.Predictions.from_confidence(np.maximum(score, 1 - score), hit),
        "three classes": ct.Predictions.from_probs(probs, labels),
        "one outcome": ct.Predictions.from_probs(score[18:], np.ones(42, int)),
        "few": ct.Predictions.from_probs(score[:8], outcome[:8]),
    }


def said(report):
    of_cells = ("computed from a grid", f"no interval for auroc: {FEW_OF_CELLS}")
    warnings = [w for w in report.warnings if not w.startswith(of_cells)]
    missing = {e.name: e.missing for e in report if e.name not in ONLY_ROWS}
    return report.data.describe(), warnings, missing


def without_rows(facts):
    head, warnings, missing = facts
    strip = lambda text: BY_ROWS.sub("", text)
    return head, [strip(w) for w in warnings], {n: strip(m) for n, m in missing.items()}


@pytest.mark.parametrize("name", list(data()))
def test_both_paths_say_the_same(name, monkeypatch):
    p = data()[name]
    metrics = METRICS if p.classes == 2 else METRICS.removesuffix(",nll(view=positive)")
    rows = said(ct.evaluate(p, metrics, resamples=30))
    cells = said(ct.evaluate(ct.cells(p, metrics), metrics, resamples=30))
    assert without_rows(rows) == cells
    monkeypatch.setattr(request, "STREAMED_ROWS", 1)
    lean = ",".join(m for m in metrics.split(",") if m not in ONLY_ROWS)
    assert said(ct.evaluate(p, lean, resamples=30)) == cells


def test_an_undefined_slope_names_the_refuted_score():
    score, outcome = refuted()
    p = ct.Predictions.from_probs(score, outcome)
    report = ct.evaluate(p, ["cox-slope", "citl", "cox-slope(view=class)"], ci="none")
    why = "not defined: a score of exactly 1 has outcome 0 (row 17, counting from 0)"
    assert [e.missing for e in report][:2] == [why, why]
    assert "row 17" in report["cox-slope(view=class)"].missing
    assert ct.evaluate(ct.cells(p), ["citl"])["citl"].missing == BY_ROWS.sub("", why)


def test_a_slope_without_a_refuted_score_is_not_said_to_have_one():
    p = ct.Predictions.from_probs([0.2, 0.5, 1.0], [1, 1, 1])
    assert ct.evaluate(p, ["cox-slope"])["cox-slope"].missing == "not defined on these data"


@pytest.mark.parametrize("name", ["one column", "two columns", "confidence", "three classes"])
def test_an_infinite_score_names_its_row(name):
    row = 5 if name == "three classes" else 17
    report = ct.evaluate(data()[name], resamples=30)
    assert any(f"(row {row}, counting from 0): its NLL is infinite" in w for w in report.warnings)


def test_only_what_was_asked_for_is_warned_of():
    p = data()["one column"]
    for rows in (p, ct.cells(p)):
        assert not ct.evaluate(rows, ["accuracy"], ci="none").warnings
        for name in ("nll", "nce", "nll(view=positive)"):
            (warning,) = ct.evaluate(rows, [name], ci="none").warnings
            assert warning.startswith("1 row gives its label a probability of 0")


def test_weights_of_zero_are_an_error_for_both(monkeypatch):
    some = ct.Predictions.from_probs([0.2, 0.7] * 10, [0, 1] * 10, weights=np.ones(20))
    p = replace(some, weights=np.zeros(20))  # as a filter may leave them
    for _ in range(2):
        with pytest.raises(InputError, match="all weights are zero; nothing can be measured"):
            ct.evaluate(p, ["ece"])
        monkeypatch.setattr(request, "STREAMED_ROWS", 1)


def test_the_sentence_is_about_a_calibration_error_not_about_a_score_of_its_view():
    p = ct.Predictions.from_confidence(np.full(400, 0.9), np.arange(400) % 2)
    for data_ in (p, ct.cells(p)):
        report = ct.evaluate(data_, "nll(view=top),brier(view=top),ece", resamples=30)
        assert "Overconfident: says 90.0 %, is right 50.0 % of the time (p = " in report.reading
