"""Laws of prediction sets, whatever the method."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.data.rows import to_probs
from calibtool.decisions.set_scores import METHODS, RANDOMIZED

RULES = [
    pytest.param(
        {"method": method, "randomized": randomized, "penalty": 0.05, "k_reg": 2},
        id=f"{method}{', randomized' * randomized}",
    )
    for method in METHODS
    for randomized in ((False, True) if method in RANDOMIZED else (False,))
]
FITTED, NEW = simulate(400, 5), simulate(300, 5, seed=1)


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_more_coverage_takes_no_class_out(rule, per_class):
    inside = [
        ct.fit_sets(FITTED, coverage, per_class=per_class, **rule).inside(NEW)
        for coverage in (0.5, 0.7, 0.9, 0.95)
    ]
    for fewer, more in pairwise(inside):
        assert (fewer <= more).all()
        assert fewer.sum() < more.sum()


@pytest.mark.parametrize("rule", RULES)
def test_no_class_is_passed_over(rule):
    """A class outside of a set is at most as probable as every class in it."""
    inside = ct.fit_sets(FITTED, 0.8, **rule).inside(NEW)
    probs = to_probs(NEW).values
    least = np.where(inside, probs, np.inf).min(axis=1)
    most = np.where(inside, -np.inf, probs).max(axis=1)
    assert (least >= most).all()


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_classes_have_no_order(rule, per_class):
    order = np.array([3, 0, 4, 1, 2])
    place = np.argsort(order)

    def turned(rows):
        return replace(rows, values=rows.values[:, order], labels=place[rows.labels])

    plain = ct.fit_sets(FITTED, 0.8, per_class=per_class, **rule).inside(NEW)
    again = ct.fit_sets(turned(FITTED), 0.8, per_class=per_class, **rule).inside(turned(NEW))
    # sums of probabilities in another order, of which the threshold is one
    assert (again != plain[:, order]).mean() < 1e-3


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.values[0]["randomized"]])
def test_rows_have_no_order_where_nothing_is_drawn(rule):
    order = np.random.default_rng(0).permutation(400)
    plain, again = (ct.fit_sets(rows, 0.8, **rule) for rows in (FITTED, FITTED.take(order)))
    assert plain.quantiles.tolist() == again.quantiles.tolist()
    assert (
        again.inside(NEW.take(order[order < 300])) == plain.inside(NEW)[order[order < 300]]
    ).all()


@pytest.mark.parametrize("randomized", [False, True])
def test_without_a_penalty_raps_is_aps(randomized):
    aps, raps = (
        ct.fit_sets(FITTED, 0.8, method, randomized=randomized, penalty=0)
        for method in ("aps", "raps")
    )
    assert aps.quantiles.tolist() == raps.quantiles.tolist()
    assert (aps.inside(NEW) == raps.inside(NEW)).all()


@pytest.mark.parametrize("rule", RULES)
def test_rows_that_set_a_threshold_are_covered_as_often_as_it_says(rule):
    """Of the n rows themselves, with the draws that set it, k are covered."""
    sets = ct.fit_sets(FITTED, 0.8, **rule)
    scores = sets.score.of_labels(FITTED, 0)
    assert (scores <= sets.quantiles).sum() == np.ceil(0.8 * 401)
