"""The numbers that evaluators of language models print, against their steps written out row by
row."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from calibtool import Predictions, evaluate
from calibtool.metrics.conventions.reproduce import reproduce


def rows(n, seed=0, decimals=9):
    """Confidences and whether the answers were right, overconfident."""
    rng = np.random.Generator(np.random.PCG64(seed))
    score = np.round(rng.beta(5, 1.2, n), decimals)
    return score, rng.random(n) < 0.1 + 0.6 * score


def printed(library, score, right):
    found = reproduce(library, Predictions.from_confidence(score, right))
    return {row.metric: row for row in found}


def gaps(score, right, parts):
    """(rows, |mean confidence - accuracy|) of parts given as lists of rows."""
    return [
        (len(part), abs(score[part].mean() - right[part].mean())) for part in parts if len(part)
    ]


@pytest.mark.parametrize("n", [100, 199, 240, 730])
def test_hle_leaves_the_last_bin_out_of_the_sum_and_not_out_of_n(n):
    score, right = rows(n)
    order = list(np.argsort(score))
    cut = [order[at : at + 100] for at in range(0, n - n % 100, 100)]
    cut[-1] += order[n - n % 100 :]
    squares = [size / n * gap**2 for size, gap in gaps(score, right, cut)]
    found = printed("hle", score, right)
    assert found["calibration-error"].value == round(100 * math.sqrt(sum(squares[:-1])), 2)
    whole = found["calibration-error-all-bins"].value
    assert whole == round(100 * math.sqrt(sum(squares)), 2)
    own = evaluate(
        Predictions.from_confidence(score, right), "rmsce(profile=equal_rows)", ci="none"
    )
    assert whole == round(100 * own.estimates[0].value, 2)


def test_hle_prints_nothing_of_fewer_than_100_rows_and_0_of_fewer_than_200():
    few = printed("hle", *rows(99))["calibration-error"]
    assert few.value is None
    assert few.note == "raises IndexError: fewer than 100 rows"
    assert printed("hle", *rows(199))["calibration-error"].value == 0


def equal_mass(score, bins):
    """The rows of each of `bins` runs, cut half-way between the scores at both sides."""
    runs = np.array_split(np.sort(score), bins)
    cuts = [(a[-1] + b[0]) / 2 for a, b in pairwise(runs)]
    index = np.searchsorted(cuts, score)
    return [np.flatnonzero(index == k) for k in range(bins)]


def test_helm_measures_before_and_after_platt_scaling_on_the_same_rows():
    linear_model = pytest.importorskip("sklearn.linear_model")
    score, right = rows(400)
    found = printed("helm", score, right)

    def ece(score, parts):
        return sum(size / 400 * gap for size, gap in gaps(score, right, parts))

    everything = [np.arange(400)]
    assert found["ece_10_bin"].value == pytest.approx(ece(score, equal_mass(score, 10)))
    assert found["ece_1_bin"].value == pytest.approx(ece(score, everything))

    z = np.log(score / (1 - score))
    fit = linear_model.LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(z[:, None], right)
    assert found["platt_coef"].value == pytest.approx(fit.coef_[0][0], rel=1e-4)
    assert found["platt_intercept"].value == pytest.approx(fit.intercept_[0], rel=1e-4)
    scaled = fit.predict_proba(z[:, None])[:, 1]
    after = ece(scaled, equal_mass(scaled, 10))
    assert found["platt_ece_10_bin"].value == pytest.approx(after, abs=1e-5)
    assert found["platt_ece_1_bin"].value == pytest.approx(0, abs=1e-9)


def test_helm_answers_the_most_confident_first():
    score, right = rows(400)
    kept = right[np.argsort(-score)]
    found = printed("helm", score, right)
    area = np.mean([kept[: n + 1].mean() for n in range(400)])
    assert found["selective_cov_acc_area"].value == pytest.approx(area)
    assert found["selective_acc@10"].value == pytest.approx(kept[:41].mean())


def test_helm_of_answers_that_are_all_right_has_no_platt_fit():
    found = printed("helm", rows(40)[0], np.ones(40, bool))
    assert found["platt_coef"].value is None
    assert found["platt_ece_10_bin"].value == found["platt_ece_1_bin"].value == 0


def area(score, right, rejected):
    """The mean accuracy of what is left after rejecting 0, 1, ... of the least confident rows."""
    kept = right[np.argsort(-score)]
    n = len(kept)
    return np.mean([kept[: n - gone].mean() for gone in range(rejected)])


@pytest.mark.parametrize(("suffix", "share"), [("", 1.0), ("_0.5", 0.5)])
def test_lm_polygraph_rejects_up_to_a_share(suffix, share):
    score, right = rows(301)
    rejected = int(share * 301)
    found = printed("lm-polygraph", score, right)
    raw = area(score, right, rejected)
    assert found[f"prr{suffix}"].value == pytest.approx(raw)
    best = area(right.astype(float), right, rejected)
    rng = np.random.Generator(np.random.PCG64(1))
    random = np.mean([area(rng.random(301), right, rejected) for _ in range(200)])
    ratio = (raw - random) / (best - random)
    assert found[f"prr{suffix}_normalized"].value == pytest.approx(ratio, abs=0.02)


def test_lm_polygraph_takes_equal_answers_for_half_right():
    for right in (np.ones(20, bool), np.zeros(20, bool)):
        found = printed("lm-polygraph", rows(20)[0], right)
        assert found["prr"].value == found["prr_normalized"].value == 0.5


def test_lm_polygraph_has_20_bins_closed_above():
    score, right = rows(400, decimals=2)
    index = np.array(
        [next(k for k in range(20) if s <= np.linspace(0, 1, 21)[k + 1]) for s in score]
    )
    parts = [np.flatnonzero(index == k) for k in range(20)]
    expected = sum(size / 400 * gap for size, gap in gaps(score, right, parts))
    assert printed("lm-polygraph", score, right)["ece"].value == pytest.approx(expected)


@pytest.mark.parametrize("library", ["hle", "helm", "lm-polygraph"])
def test_rows_of_classes_are_those_of_the_predicted_class(library):
    rng = np.random.Generator(np.random.PCG64(4))
    probs, labels = rng.dirichlet(np.ones(3), 300), rng.integers(0, 3, 300)
    whole = reproduce(library, Predictions.from_probs(probs, labels))
    alone = printed(library, probs.max(axis=1), probs.argmax(axis=1) == labels)
    for row in whole:
        assert row.view == "top"
        assert row.value == pytest.approx(alone[row.metric].value)
