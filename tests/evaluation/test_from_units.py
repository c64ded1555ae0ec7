"""Rows of several predictions that are streamed: their intervals, by sums for each row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibtool as ct
from calibtool.analysis import slices
from calibtool.evaluation import request

FAR = "accuracy,nll,brier,mean-confidence,ece,rmsce,mce,classwise-ece"


@pytest.fixture
def little_memory(monkeypatch):
    """Everything is streamed, whatever its size."""
    monkeypatch.setattr(request, "UNIT_ROWS", 100)
    monkeypatch.setattr(request, "STREAMED_ROWS", 100)
    monkeypatch.setattr(request, "EXACT_ROWS", 100)


def correlated(count=40, classes=4, side=6):
    """Images whose classes have a level each, and labels that it moves."""
    rng = np.random.default_rng(9)
    z = rng.normal(size=(count, classes, 1, 1)) + rng.normal(size=(count, classes, side, side))
    labels = (0.5 * z + rng.gumbel(size=(count, classes, 1, 1))).argmax(axis=1).astype(np.uint8)
    labels[3, 2, 1] = 255
    labels[7] = 255  # an image without any label
    return z.astype(np.float32), labels


@pytest.fixture
def several(tmp_path):
    """A file of rows with three labels each."""
    rng = np.random.default_rng(0)
    probs = rng.random((60, 3))
    targets = (rng.random((60, 3)) < probs).astype(np.int64)
    columns = {f"prob_{name}": probs[:, k] for k, name in enumerate("abc")}
    columns |= {f"label_{name}": targets[:, k] for k, name in enumerate("abc")}
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")
    return tmp_path / "m.parquet"


def ends(report):
    return {e.name: (e.low, e.high) for e in report.estimates}


@pytest.mark.parametrize("weighted", [False, True])
def test_streamed_images_are_resampled_like_those_in_memory(weighted, tmp_path, little_memory):
    z, labels = correlated()
    columns = {"logits": z, "labels": labels}
    if weighted:
        columns["weights"] = np.random.default_rng(1).uniform(0.5, 2, len(z))
    np.savez(tmp_path / "s.npz", **columns)
    keys = {"ignore": (255,), "weights": "weights" if weighted else None}
    rows = ct.load(tmp_path / "s.npz", **keys)  # with its images, in memory
    streamed = ct.evaluate(tmp_path / "s.npz", FAR, **keys)
    held = ct.evaluate(rows, FAR, cluster="image")
    for one, other in zip(streamed.estimates, held.estimates, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-6), one.name
        width = other.high - other.low
        # the row that was not seen is one of a cell, whose other classes are alike
        near = 0.4 if one.name in ("nll", "brier") else 0.1
        assert abs(one.low - other.low) < near * width, one.name
        assert abs(one.high - other.high) < near * width, one.name
    pixels = ct.Predictions.from_logits(rows.values, rows.labels)
    alone = ct.evaluate(pixels, FAR)
    for one, other in zip(streamed.estimates, alone.estimates, strict=True):
        assert one.high - one.low > 1.3 * (other.high - other.low), one.name


def test_no_digit_depends_on_the_threads(tmp_path, little_memory):
    z, labels = correlated()
    np.savez(tmp_path / "s.npz", logits=z, labels=labels)
    one, two = (
        ct.evaluate(tmp_path / "s.npz", FAR, ignore=(255,), threads=threads) for threads in (1, 2)
    )
    assert ends(one) == ends(two)


def test_what_no_sums_give_has_no_interval_and_says_so(tmp_path, little_memory):
    z, labels = correlated()
    np.savez(tmp_path / "s.npz", logits=z, labels=labels)
    report = ct.evaluate(tmp_path / "s.npz", "ece,ada-ece", ignore=(255,))
    assert report["ece"].low is not None
    assert report["ada-ece"].low is None
    assert any("no interval for ada-ece" in said for said in report.warnings)
    np.savez(tmp_path / "f.npz", logits=z[:20], labels=labels[:20])
    report = ct.evaluate(tmp_path / "f.npz", "ece", ignore=(255,))
    assert any("19 images are too few" in said for said in report.warnings)


def test_a_calibrator_is_compared_on_the_same_images(tmp_path, little_memory):
    z, labels = correlated()
    np.savez(tmp_path / "s.npz", logits=z, labels=labels)
    fitted = ct.fit("temperature", ct.scan(tmp_path / "s.npz", ignore=(255,)))
    report = ct.evaluate(tmp_path / "s.npz", "nll,ece", calibrator=fitted, ignore=(255,))
    nll, ece = report.change
    assert nll.low < nll.value < nll.high < 0
    assert ece.low < ece.high


def test_streamed_labels_are_resampled_by_row(several, little_memory):
    streamed = ct.evaluate(several, "accuracy,ece")
    held = ct.evaluate(ct.load(several), "accuracy,ece", cluster="row")
    for one, other in zip(streamed.estimates, held.estimates, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.02)


def test_slices_of_streamed_images_take_no_pixels_for_independent(
    tmp_path, little_memory, monkeypatch
):
    monkeypatch.setattr(slices, "UNIT_ROWS", 100)
    z, labels = correlated()
    np.savez(tmp_path / "s.npz", logits=z, labels=labels)
    source = ct.scan(tmp_path / "s.npz", ignore=(255,))
    report = ct.evaluate_by(source, "predicted", "accuracy,ece")
    assert report.whole[0].low == ct.evaluate(source, "accuracy")["accuracy"].low
    assert all(m.estimate.low is None for part in report.parts[0].slices for m in part.measures)
    assert any("no intervals by predicted" in said for said in report.warnings)


def test_streamed_labels_have_the_intervals_of_their_own_rows(several, little_memory, monkeypatch):
    monkeypatch.setattr(slices, "UNIT_ROWS", 100)
    part = ct.evaluate_by(several, "label", "accuracy").parts[0]
    assert part.mean[0].value == pytest.approx(
        np.mean([result.measures[0].estimate.value for result in part.slices])
    )
    assert all(result.measures[0].estimate.low is not None for result in part.slices)


def test_diagrams_of_streamed_images_have_no_bands_of_independent_pixels(tmp_path, little_memory):
    z, labels = correlated()
    np.savez(tmp_path / "s.npz", logits=z, labels=labels)
    source = ct.scan(tmp_path / "s.npz", ignore=(255,))
    curve = ct.plot.risk_coverage(source).curves[0]
    assert np.isnan(curve.low).all()
    assert next(e for e in curve.estimates).low is None
    bins = ct.plot.reliability(source).curves[0]
    assert np.isfinite(bins.outcome).any()
    assert np.isnan([bins.low, bins.high, bins.least, bins.most]).all()
    np.savez(tmp_path / "f.npz", logits=z[:4], labels=labels[:4])
    report = ct.evaluate(tmp_path / "f.npz", "ece", ignore=(255,))
    assert any("4 images are too few" in said for said in report.warnings)


@pytest.mark.parametrize("read", [ct.scan, ct.load])
@pytest.mark.parametrize("count", [4, 40])
def test_bins_of_too_few_images_have_no_intervals_of_independent_pixels(count, read, tmp_path):
    z, labels = correlated()
    np.savez(tmp_path / "s.npz", logits=z[:count], labels=labels[:count])
    bins = ct.plot.reliability(read(tmp_path / "s.npz", ignore=(255,))).curves[0]
    for ends in (bins.low, bins.high, bins.least, bins.most):
        assert np.isfinite(ends).any() == (count == 40)
