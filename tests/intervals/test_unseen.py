"""One unseen row: intervals where almost nothing varied, and what they must not prove."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.data.slicing import with_extra
from calibtool.errors import UsageError
from calibtool.gate.check import check
from calibtool.intervals import unseen
from calibtool.intervals.draws import Draws

# Every metric that labels change and that is no calibration error.
ROWS = "accuracy,nll,brier,spherical,top-k-accuracy(k=1),macro-f1"
CELLS = "aurc,augrc,accuracy-at-coverage,unc,bias"
SKILLS = "brier-skill,nll-skill,nce,auroc,auprc,cox-slope,citl"
FEW = {"resamples": 300}


def rare(rows: int, positive: int, seed: int = 0) -> ct.Predictions:
    """Return calibrated-looking scores around 0.5 %, with so many positive outcomes."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(rows, int)
    labels[:positive] = 1
    return ct.Predictions.from_probs(rng.beta(0.5, 100, rows), labels)


def certain(rows: int, classes: int = 2, extra: dict[str, np.ndarray] | None = None):
    """Return predictions that are all right."""
    rng = np.random.default_rng(1)
    logits = 3 * rng.normal(size=(rows, classes))
    p = ct.Predictions.from_logits(logits, logits.argmax(axis=1))
    return with_extra(p, extra) if extra else p


# ------------------------------------------------------------------ shares


@pytest.mark.parametrize(("rows", "classes"), [(60, 2), (300, 2), (300, 5)])
def test_a_share_that_never_varied_has_clopper_and_pearsons_interval(rows, classes):
    p = certain(rows, classes)
    for data in (p, ct.cells(p)):
        accuracy = ct.evaluate(data, "accuracy")["accuracy"]
        assert (accuracy.value, accuracy.high) == (1.0, 1.0)
        assert accuracy.low == pytest.approx(0.025 ** (1 / rows), rel=1e-12)
        assert accuracy.error > 0
        assert "ci:clopper-pearson-95" in accuracy.signature


def test_a_clustered_share_counts_clusters_not_rows():
    cluster = np.repeat(np.arange(60), 5)
    p = certain(300, extra={"patient": cluster})
    accuracy = ct.evaluate(p, "accuracy", cluster="patient")["accuracy"]
    assert accuracy.high == 1.0
    assert accuracy.low == pytest.approx(0.025 ** (1 / 60), abs=0.006)


def test_a_weighted_share_counts_the_weight_of_a_row():
    p = certain(300)
    weights = np.random.default_rng(2).lognormal(0, 1, 300)
    weighted = ct.Predictions.from_logits(p.values, p.labels, weights=weights)
    one = ct.evaluate(p, "accuracy")["accuracy"]
    other = ct.evaluate(weighted, "accuracy")["accuracy"]
    assert other.low < one.low  # unequal weights say less
    assert 1 - other.low < 4 * (1 - one.low)


# ------------------------------------------------------------------ nothing varied, or little


@pytest.mark.parametrize("positive", [0, 1, 2])
@pytest.mark.parametrize("as_cells", [False, True])
def test_no_interval_is_certain_of_what_was_not_seen(positive, as_cells):
    """Each metric as it would be if 1 % had been positive lies in its interval."""
    p, truth = rare(300, positive), rare(300, 3)
    metrics = f"{ROWS},{CELLS}" if not as_cells else f"{ROWS},{CELLS}".replace(",macro-f1", "")
    report = ct.evaluate(ct.cells(p, metrics) if as_cells else p, metrics, **FEW)
    expected = ct.evaluate(truth, metrics, ci="none")
    for estimate in report.estimates:
        assert estimate.low is not None, estimate.name
        assert estimate.low < estimate.high, estimate.name
        assert estimate.low <= expected[estimate.name].value <= estimate.high, estimate.name
        assert estimate.error is None or estimate.error > 0, estimate.name
    assert report.bias.low <= expected.bias.value <= report.bias.high


def test_skills_and_slopes_of_one_event_know_how_little_it_says():
    p, more = rare(300, 1), rare(1000, 5, seed=3)
    report, truth = ct.evaluate(p, SKILLS, **FEW), ct.evaluate(more, SKILLS, ci="none")
    for estimate in report.estimates:
        if estimate.low is not None:
            assert estimate.low <= truth[estimate.name].value <= estimate.high, estimate.name
    assert report["brier-skill"].high - report["brier-skill"].low > 0.05


def test_rows_and_cells_know_the_same():
    p = rare(3000, 12)
    by_rows = ct.evaluate(p, "nll,brier,spherical,accuracy,aurc")
    by_cells = ct.evaluate(ct.cells(p), "nll,brier,spherical,accuracy,aurc")
    for a, b in zip(
        [*by_rows.estimates, by_rows.bias], [*by_cells.estimates, by_cells.bias], strict=True
    ):
        width = a.high - a.low
        assert (b.low, b.high) == pytest.approx((a.low, a.high), abs=0.1 * width), a.name


def test_threads_change_no_digit():
    p = rare(300, 2)
    metrics = f"{ROWS},{CELLS},{SKILLS}"
    one, four = (ct.evaluate(p, metrics, threads=k, **FEW).to_dict() for k in (1, 4))
    assert one == four


def test_many_events_leave_the_interval_as_it_was():
    rng = np.random.default_rng(4)
    scores = rng.random(4000)
    p = ct.Predictions.from_probs(scores, rng.random(4000) < scores)
    metrics = "accuracy,nll,brier,auroc,aurc,cox-slope,citl,brier-skill"
    after, before = ct.evaluate(p, metrics), ct.evaluate(p, metrics, ci="bca")
    for a, b in zip(after.estimates, before.estimates, strict=True):
        assert 0.9 < (a.high - a.low) / (b.high - b.low) < 1.12, a.name


def test_other_methods_stay_what_they_are():
    p = rare(300, 0)
    for ci in ("bca", "percentile", "basic"):
        accuracy = ct.evaluate(p, "accuracy", ci=ci)["accuracy"]
        assert (accuracy.low, accuracy.high) == (1.0, 1.0)


# ------------------------------------------------------------------ the gate


def decision(p, text: str, mode: str = "prove") -> str:
    return check(p, [text], mode=mode, resamples=300).decision


@pytest.mark.parametrize(
    "text", ["brier <= 0.001", "nll <= 0.01", "accuracy >= 0.99", "aurc <= 0.001"]
)
def test_300_rows_without_a_positive_prove_nothing_about_them(text):
    assert decision(rare(300, 0), text) == "inconclusive"
    assert decision(ct.cells(rare(300, 0)), text) == "inconclusive"


def test_60_of_60_right_do_not_prove_99_percent():
    p = certain(60)
    assert decision(p, "accuracy >= 0.99") == "inconclusive"
    assert decision(p, "accuracy >= 0.93") == "pass"
    assert decision(p, "macro-f1 >= 0.99") == "inconclusive"


def test_certain_scores_have_no_bound_on_the_nll():
    labels = np.arange(300) % 2
    p = ct.Predictions.from_probs(labels.astype(float), labels)
    report = ct.evaluate(p, "nll,brier")
    assert report["nll"].low is None
    assert any("no interval for nll" in warning for warning in report.warnings)
    assert report["brier"].high > 0.01
    with pytest.raises(UsageError, match="no interval"):
        decision(p, "nll <= 0.001")


# ------------------------------------------------------------------ the pieces


def test_few_rows_keep_a_weight_in_every_replicate():
    draws = Draws(500, 0, 3000)
    rows = np.array([3, 1023, 1024, 2999])
    drawn = draws.weights_of(rows)
    whole = np.concatenate([draws.weights(0, 3000, group) for group in draws.groups], axis=1)
    assert np.array_equal(drawn, whole[rows].T)
    assert (unseen.swapped(draws, rows) + drawn > 0).all()


def test_k_of_n_rows_have_clopper_and_pearsons_interval_by_draws():
    """The general method gives a share the interval that has a closed form."""
    draws = Draws(2000, 0, 400)
    rng = np.random.default_rng(5)
    events = rng.standard_gamma(3, 2000)
    total = rng.standard_gamma(397, 2000) + events
    weight = unseen.weights(draws)
    drawn = [unseen.mean_with(events / total, total, np.full(2000, o), weight) for o in (1.0, 0.0)]
    low, high, _ = unseen.ends(drawn, 0.95)
    exact = unseen.of_share(3 / 400, 400.0, 0.95)
    assert (low, high) == pytest.approx((exact.low, exact.high), rel=0.12)


def test_a_ranking_of_classes_without_an_error_is_not_known_to_be_perfect():
    """Ten rows of each class in perfect order do not exclude that the next one is not."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    logits = 6 * np.eye(3)[labels] + rng.normal(0, 0.5, (60, 3))
    predictions = ct.Predictions.from_logits(logits, labels)
    auroc = ct.evaluate(predictions, ["auroc"], resamples=300)["auroc"]
    assert auroc.value == 1
    assert 0.85 < auroc.low < 0.98
    assert auroc.high == 1
    kept = ct.evaluate(ct.cells(predictions, ["auroc"]), ["auroc"], resamples=300)["auroc"]
    assert kept.low is None  # cells of classes do not know which rows they share
