"""Metrics that need whole rows are measured on a sample where cells stand for the rows."""

from pathlib import Path

import numpy as np
import pytest

import calibtool as ct
from calibtool.calibrators.fit import fit
from calibtool.evaluation import evaluate, request
from calibtool.evaluation.subsample import draw_rows

METRICS = "simplex-ece,nll,calibration-loss,ece,ood-auroc"
ROWS, DRAWN = 3_000, 1_000


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> ct.Predictions:
    monkeypatch.setattr(request, "STREAMED_ROWS", DRAWN)
    monkeypatch.setattr(request, "EXACT_ROWS", DRAWN)
    monkeypatch.setattr(evaluate, "STREAMED_ROWS", DRAWN)
    random = np.random.default_rng(3)
    p = random.beta(1, 2, ROWS)
    return ct.Predictions.from_probs(p, (random.random(ROWS) < p**1.2).astype(int))


def test_a_sample_gives_what_whole_rows_need(many: ct.Predictions) -> None:
    split = ct.evaluate(many, METRICS, resamples=40, seed=5)
    cells = ct.evaluate(many, "nll,ece", resamples=40, seed=5)
    drawn = draw_rows(many, DRAWN, 5)
    sample = ct.evaluate(drawn, "simplex-ece,calibration-loss", resamples=40, seed=5)
    assert [one.name for one in split] == METRICS.split(",")
    for name in ("nll", "ece"):
        assert split[name] == cells[name]
    for name in ("simplex-ece", "calibration-loss"):
        assert split[name] == sample[name]
    assert split["ood-auroc"].value is None
    assert split.data.rows == ROWS
    assert split.bias == cells.bias
    assert split.digest == cells.digest
    names = "simplex-ece, calibration-loss"
    assert f"{names}: measured on 1,000 rows drawn at random from the 3,000" in split.notes


def test_nothing_is_said_where_no_metric_of_the_sample_has_a_value(many: ct.Predictions) -> None:
    report = ct.evaluate(many, "ece,ood-auroc", ci="none")
    assert not any("at random" in note for note in report.notes)


def test_a_calibrator_is_paired_in_both_parts(many: ct.Predictions, tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", probs=many.values[:, 0], labels=many.labels)
    calibrator = fit("platt", many)
    report = ct.evaluate(
        tmp_path / "many.npz", "calibration-loss,nll", calibrator=calibrator, resamples=40
    )
    assert [one.name for one in report.change] == ["calibration-loss", "nll"]
    for before, after, change in zip(report, report.after, report.change, strict=True):
        assert change.value == pytest.approx(after.value - before.value)
        assert change.low <= change.value <= change.high
