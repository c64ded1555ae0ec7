"""Thresholds beside MAPIE's, beside Geifman & El-Yaniv's bound, and costs by their definition."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

import calibtool as ct
from calibtool.decisions.bounds import evidence
from calibtool.decisions.cost_report import bayes
from calibtool.decisions.costs import Costs
from calibtool.decisions.point import Missed
from calibtool.decisions.sequence import Sequence
from calibtool.intervals import shares

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "goldens" / "thresholds" / "mapie-1.6.0.json").read_text()
)
SCORE, LABEL = np.array(GOLDEN["score"]), np.array(GOLDEN["label"])


class Theirs:
    """MAPIE's p-values, as the evidence of a sequence."""

    def __init__(self, p_values):
        self.own = np.array(p_values)

    def p_values(self, sizes):
        return self.own


@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda case: f"{case['name']} {case['target']}"
)
def test_p_values_and_the_sequence_are_mapies(case):
    """MAPIE counts losses as the ceiling of rows times mean loss, which rounding lifts by one in a
    quarter of the cases; there its p-value is larger."""
    risk, lines, delta = 1 - case["target"], np.array(case["thresholds"]), case["delta"]
    theirs = np.array(case["p_values"])
    if case["name"] == "precision":
        order = np.argsort(-SCORE, kind="stable")
        rows = np.array([(line <= SCORE).sum() for line in lines])
        losses = np.cumsum(1 - LABEL[order])[rows - 1]
        ours = evidence(1.0 - LABEL[order], None, risk).p_values(rows)
    else:
        positive = SCORE[LABEL == 1]
        rows = np.full(len(lines), len(positive))
        losses = np.array([(positive < line).sum() for line in lines])
        ours = Missed(len(positive), risk).p_values(losses)
    np.testing.assert_allclose(ours, binom.cdf(losses, rows, risk), rtol=1e-9)
    plain = np.ceil(rows * (1 - (rows - losses) / rows)) == losses
    assert plain.mean() > 0.7
    np.testing.assert_allclose(ours[plain], theirs[plain], rtol=1e-9)
    assert (ours[~plain] < theirs[~plain]).all()
    # the sequence with one start, on MAPIE's p-values
    steps = np.arange(1, len(lines) + 1)
    tests = Sequence(steps, (steps == 1).astype(float), steps > 0)
    assert tests.last(Theirs(theirs), delta) == len(case["valid"]) > 2
    if case["name"] == "recall":
        found = ct.choose_threshold(
            ct.Predictions.from_probs(SCORE, LABEL), target=f"recall >= {1 - risk}", delta=delta
        )
        assert case["valid"][-1] <= found.threshold < case["valid"][-1] + 0.02


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_of_one_threshold_is_that_of_geifman_and_el_yaniv(seed):
    """Their bound b solves P(Bin(m, b) <= k) = delta / ceil(log2 n), by Gascuel & Caraux 1992: the
    risk that our p-value proves at that level."""
    rng = np.random.default_rng(seed)
    n = 500
    losses = (np.sort(rng.random(n)) > 0.9).astype(float)
    level = 0.05 / math.ceil(math.log2(n))
    for m in (100, 300, 499):
        k = losses[:m].sum()
        bound = brentq(lambda b, m=m, k=k: binom.cdf(k, m, b) - level, 1e-12, 1 - 1e-12)
        (p_value,) = evidence(losses, None, bound).p_values(np.array([m]))
        assert p_value == pytest.approx(level, rel=1e-6)
        assert shares.upper(np.array([k]), np.array([m]), level)[0] == pytest.approx(
            bound, rel=1e-6
        )


# ------------------------------------------------------------------ costs


COSTS = Costs(
    "costs.toml",
    {"a": {"b": 1.0, "c": 2.0}, "b": {"a": 5.0, "c": 1.0}, "c": {"a": 3.0, "b": 4.0}},
    0.8,
)


def three(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(3), rows)
    labels = rng.integers(0, 3, rows)
    return ct.Predictions.from_probs(probs, labels, class_names=("a", "b", "c"))


def test_the_bayes_decision_costs_least_of_all():
    rows = three()
    matrix = COSTS.matrix(rows)
    for reject in (None, 0.8):
        decision = bayes(rows.values, matrix, reject)
        for p, chosen in zip(rows.values, decision, strict=True):
            options = [sum(p[k] * matrix[k, a] for k in range(3)) for a in range(3)]
            if reject is not None:
                options = [*options, reject]
            best = int(np.argmin(options))
            assert chosen == (-1 if best == 3 else best)


def test_expected_costs_are_those_of_ferrers_definition():
    """EC = sum over truths i and decisions j of c_ij P_i R_ij, normalized by the best constant
    decision (Ferrer 2023, eq. 4 and 9)."""
    rows = three()
    report = ct.decision_costs(rows, costs=COSTS)
    matrix = COSTS.matrix(rows)
    for cost, decision in zip(
        report.costs, (rows.values.argmax(1), bayes(rows.values, matrix, 0.8)), strict=True
    ):
        total = 0.0
        for i in range(3):
            of_class = rows.labels == i
            prior = of_class.mean()
            for j in range(3):
                total += matrix[i, j] * prior * (decision[of_class] == j).mean()
            total += 0.8 * prior * (decision[of_class] == -1).mean()
        constant = min(0.8, *(matrix[rows.labels, j].mean() for j in range(3)))
        assert cost.value == pytest.approx(total)
        assert cost.normalized == pytest.approx(total / constant)
        assert cost.rejected == pytest.approx((decision == -1).mean())
        assert cost.low < cost.value < cost.high


def test_calibration_is_worth_what_it_saves():
    rng = np.random.default_rng(1)
    logits = 3 * rng.normal(size=(6000, 3))
    probs = np.exp(logits / 3)
    probs /= probs.sum(1, keepdims=True)
    labels = (rng.random(6000)[:, None] > probs.cumsum(1)).sum(1)
    p = ct.Predictions.from_logits(logits, labels, class_names=("a", "b", "c"))
    first, second = p.take(slice(3000)), p.take(slice(3000, None))
    report = ct.decision_costs(second, costs=COSTS, calibrator=ct.fit("temperature", first))
    by_cost, by_calibrating, both = report.gains
    assert by_calibrating.low > 0
    assert both.value == pytest.approx(by_cost.value + by_calibrating.value)
    assert report.costs[-1].value == min(cost.value for cost in report.costs)
