"""calibration-lp: its bound, its sides, its weights, and what it cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import simulate
from sklearn.isotonic import IsotonicRegression

import calibtool as ct
from calibtool.data.rows import to_probs
from calibtool.errors import NotAvailableError
from calibtool.metrics import variational
from calibtool.metrics.variational import calibration_lp


def known(rows, slope, seed, classes=3):
    """Probabilities whose logits are `slope` times the true ones, labels, and the true rates."""
    rng = np.random.Generator(np.random.PCG64(seed))
    z = rng.normal(0, 1.5, (rows, classes))
    rate = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    probs = np.exp(slope * z) / np.exp(slope * z).sum(axis=1, keepdims=True)
    labels = (rate.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, classes - 1)
    return probs, labels, rate


@pytest.mark.parametrize("p", ["1", "2", "inf"])
@pytest.mark.parametrize("slope", [2.0, 0.5])
def test_it_is_below_the_true_error_on_average_and_comes_near_it(p, slope):
    order = float(p)
    true = np.linalg.norm(np.subtract(*known(200_000, slope, 9)[::2]), ord=order, axis=1).mean()
    few, many = (
        np.mean([calibration_lp(*known(n, slope, seed)[:2], p=p) for seed in range(sets)])
        for n, sets in ((300, 20), (20_000, 3))
    )
    assert few < true
    assert 0.9 * true < many < 1.01 * true


@pytest.mark.parametrize(("view", "classes"), [("rows", 10), ("top", 3)])
def test_of_calibrated_rows_it_is_not_above_0_on_average(view, classes):
    """With stratified folds it was 0.05 of ten classes, six standard errors above 0."""
    sets = [known(200, 1.0, seed, classes)[:2] for seed in range(100)]
    found = np.array([calibration_lp(*one, view=view) for one in sets])
    assert found.mean() < 2 * found.std() / np.sqrt(100)
    assert found.min() < 0 < found.max()


@pytest.mark.parametrize(("slope", "side"), [(2.0, "over"), (0.5, "under")])
def test_the_sides_add_up_and_say_what_is_wrong(slope, side):
    probs, labels, _ = known(4000, slope, 1, classes=2)
    found = {s: calibration_lp(probs, labels, side=s) for s in ("both", "over", "under")}
    assert found["over"] + found["under"] == pytest.approx(found["both"], abs=1e-12)
    other = "under" if side == "over" else "over"
    assert found[side] > 0.05
    assert abs(found[other]) < 0.01


def by_definition(probs, labels, weights, p):
    """The mean of <s(g - f), y - f> by loops, with scikit-learn's curves."""
    classes, terms = probs.shape[1], np.zeros(len(labels))
    fold = np.random.RandomState(0).permutation(len(labels)) % 5
    for k in range(5):
        fit, at = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        curves = [
            IsotonicRegression(out_of_bounds="clip")
            .fit(probs[fit, c], labels[fit] == c, weights[fit])
            .predict(probs[at, c])
            for c in range(classes)
        ]
        g = np.stack(curves, axis=1)
        g = g / g.sum(axis=1, keepdims=True)
        share = 1 / (weights[fit].sum() + 1)
        g = (1 - share) * g + share / classes
        for row, fitted in zip(at, g, strict=True):
            d, step = fitted - probs[row], 1e-7
            gradient = [
                (np.linalg.norm(d + step * e, p) - np.linalg.norm(d - step * e, p)) / (2 * step)
                for e in np.eye(classes)
            ]
            terms[row] = gradient @ (np.eye(classes)[labels[row]] - probs[row])
    return np.average(terms, weights=weights)


@pytest.mark.parametrize("p", ["1", "2", "inf"])
def test_it_is_its_definition_with_weights(p):
    probs, labels, _ = known(400, 1.7, 3)
    weights = np.random.Generator(np.random.PCG64(4)).lognormal(0, 1, 400)
    ours = calibration_lp(probs, labels, weights, p=p)
    assert ours == pytest.approx(by_definition(probs, labels, weights, float(p)), abs=1e-6)


def test_rows_without_weight_do_not_count():
    probs, labels, _ = known(300, 1.7, 5)
    weights = (np.arange(300) % 3 > 0).astype(float)
    used = weights > 0
    assert calibration_lp(probs, labels, weights) == calibration_lp(probs[used], labels[used])


def test_of_large_data_evenly_spaced_rows_are_used(monkeypatch):
    probs, labels, _ = known(5000, 1.7, 6)
    monkeypatch.setattr(variational, "MOST", 3 * 1500)
    at = np.linspace(0, 4999, 1500).astype(int)
    assert calibration_lp(probs, labels) == calibration_lp(probs[at], labels[at])


@pytest.mark.parametrize("rows", [0, 4])
def test_too_few_rows_are_refused(rows):
    probs, labels, _ = known(10, 1.0, 0)
    with pytest.raises(NotAvailableError, match="at least 5 rows"):
        calibration_lp(probs[:rows], labels[:rows])


@pytest.mark.parametrize(
    ("options", "classes", "says"),
    [
        ("side=over", 3, "a side needs one score per row; add view=top"),
        ("view=positive", 3, "the positive view needs two classes (got 3)"),
    ],
)
def test_what_a_spec_cannot_have_is_said(options, classes, says):
    found = ct.evaluate(simulate(200, classes), [f"calibration-lp({options})"]).estimates[0]
    assert found.value is None
    assert says in found.missing


def test_two_classes_are_one_score_however_they_are_given():
    p = simulate(400, 2)
    one = ct.Predictions.from_logits(p.values[:, 1] - p.values[:, 0], p.labels)
    specs = ["calibration-lp", "calibration-lp(view=positive)", "calibration-lp(p=2)"]
    values = {round(e.value, 12) for x in (p, one) for e in ct.evaluate(x, specs, ci="none")}
    assert len(values) == 1


@pytest.mark.parametrize("side", ["both", "over", "under"])
def test_of_confidences_alone_it_is_the_top_view_of_the_rows(side):
    p = simulate(500, 4)
    probs = to_probs(p).values
    alone = ct.Predictions.from_confidence(probs.max(axis=1), probs.argmax(axis=1) == p.labels)
    spec = f"calibration-lp(view=top,side={side})"
    whole, only = (ct.evaluate(x, [spec], ci="none").estimates[0].value for x in (p, alone))
    assert only == pytest.approx(whole, abs=1e-12)
    missing = ct.evaluate(alone, ["calibration-lp"], ci="none").estimates[0].missing
    assert missing == "needs whole probability rows; of confidences alone, add view=top"
