"""Class shares without labels: simulated shifts whose shares are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

import calibtool as ct
from calibtool.analysis.label_shift import shares_by_bbse, shares_by_em
from calibtool.data.rows import to_probs

PRIOR, SHIFTED = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])


def drawn(rows, shares, seed, classes=3):
    """Normal scores around each row's class; the logits are 2.2 times those of the posterior."""
    rng = np.random.Generator(np.random.PCG64(seed))
    labels = rng.choice(classes, rows, p=shares)
    x = rng.normal(0, 1, (rows, classes))
    x[np.arange(rows), labels] += 1.5
    return ct.Predictions.from_logits(2.2 * (1.5 * x + np.log(PRIOR[:classes])), labels)


def test_known_shares_lie_in_the_intervals_and_both_estimates_are_near():
    covered = []
    for seed in range(12):
        known, new = drawn(800, PRIOR, 2 * seed), drawn(600, SHIFTED, 2 * seed + 1)
        found = ct.estimate_prior(known, new, resamples=60, seed=seed)
        np.testing.assert_allclose(found.shares, SHIFTED, atol=0.12)
        np.testing.assert_allclose([one.bbse for one in found.classes], SHIFTED, atol=0.2)
        covered += [one.low <= q <= one.high for one, q in zip(found.classes, SHIFTED, strict=True)]
    assert np.mean(covered) > 0.8  # of 36, at 95 % of 60 replicates


def test_the_model_need_not_be_calibrated_for_it():
    """Scores twice as large, and other biases: bias-corrected temperature scaling undoes both."""
    known, new = drawn(2000, PRIOR, 0), drawn(2000, SHIFTED, 1)
    off = [replace(p, values=2 * p.values + [3.0, 0.0, -1.0]) for p in (known, new)]
    one, other = (ct.estimate_prior(a, b, resamples=0) for a, b in ((known, new), off))
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-6)


def test_em_reaches_the_maximum_of_the_likelihood():
    rng = np.random.Generator(np.random.PCG64(0))
    ratio, weights = rng.dirichlet(2 * PRIOR, 200) / PRIOR, rng.dirichlet(np.ones(200))
    share = shares_by_em(ratio, weights, PRIOR)

    def loss(v):
        q = np.exp(v) / np.exp(v).sum()
        return -(weights @ np.log(ratio @ q))

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-10})
    np.testing.assert_allclose(share, np.exp(best.x) / np.exp(best.x).sum(), atol=1e-5)


def test_em_does_not_divide_by_a_class_that_a_replicate_lacks():
    """A row whose probabilities name its class for sure, and that has no weight."""
    assert shares_by_em(np.eye(3), np.array([0.25, 0.75, 0.0]), PRIOR).tolist() == [0.25, 0.75, 0]


def test_bbse_is_the_solution_of_its_equations():
    given = np.array([[0.8, 0.3], [0.2, 0.7]])  # P(predicted | true)
    np.testing.assert_allclose(shares_by_bbse(given * [0.5, 0.5], given @ [0.9, 0.1]), [0.9, 0.1])
    assert shares_by_bbse(np.full((2, 2), 0.25), np.array([0.5, 0.5])) is None
    beyond = shares_by_bbse(given * 0.5, np.array([0.9, 0.1]))  # more than the largest possible
    assert beyond.tolist() == [1, 0]


def test_a_change_of_more_than_class_shares_is_noticed():
    known, new = drawn(1500, PRIOR, 0), drawn(1500, PRIOR, 1)
    blurred = np.where(np.arange(1500)[:, None] % 2 == 0, 0.2, 1.0) * new.values
    assert not ct.estimate_prior(known, new, resamples=60).differ
    changed = ct.estimate_prior(known, replace(new, values=blurred), resamples=60)
    assert changed.differ
    assert "more has changed" in " ".join(str(changed).split())


def test_weights_count_as_copies_and_labels_of_the_new_rows_are_not_looked_at():
    known, new = drawn(400, PRIOR, 0), drawn(300, SHIFTED, 1)
    copies = 1 + np.arange(300) % 3
    one = ct.estimate_prior(known, replace(new, weights=copies.astype(float)), resamples=0)
    other = ct.estimate_prior(known, new.take(np.repeat(np.arange(300), copies)), resamples=0)
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-9)
    hidden = ct.estimate_prior(known, replace(new, labels=None), resamples=20)
    assert hidden.classes == ct.estimate_prior(known, new, resamples=20).classes


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda a, b: (a, drawn(50, [0.5, 0.5], 0, classes=2)), "has 2 classes, .* has 3"),
        (lambda a, b: (a.take(a.labels < 2), b), "class 2"),
        (lambda a, b: (ct.Predictions.from_confidence([0.5, 0.6], [0, 1]), b), "whole rows"),
        (lambda a, b: (a, replace(b, weights=np.zeros(300))), "a weight of 0"),
        (
            lambda a, b: (
                replace(a, class_names=("a", "b", "c")),
                replace(b, class_names=("a", "c", "b")),
            ),
            "other names, or another order",
        ),
    ],
)
def test_bad_use_is_an_error(call, says):
    known, new = drawn(300, PRIOR, 0), drawn(300, SHIFTED, 1)
    with pytest.raises(ct.CalibtoolError, match=says):
        ct.estimate_prior(*call(known, new), resamples=0)


def test_undersampled_negatives_are_a_known_shift():
    """p = b s / (b s - s + 1), for a model trained on a share b of the negatives."""
    p = to_probs(drawn(2000, [0.6, 0.4], 0, classes=2))
    fitted = ct.fit("platt", p)
    zeros, ones = fitted.fitted.prior
    s, b = fitted(p).matrix()[:, 1], 0.1
    target = np.array([zeros, ones * b]) / (zeros + ones * b)
    after = fitted.for_prior(target)(p).matrix()[:, 1]
    np.testing.assert_allclose(after, b * s / (b * s - s + 1), atol=1e-12)
