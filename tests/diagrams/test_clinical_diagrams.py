"""Decision curves, outcomes and the loess form: their data against the definitions."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.diagrams import decision_curve, outcomes, reliability
from calibtool.errors import InputError, UsageError
from calibtool.metrics.cells import Cells
from calibtool.metrics.loess import loess

FEW = {"resamples": 60}


def draw(rows, seed=0, rounded=False, offset=-1.0):
    rng = np.random.Generator(np.random.PCG64(seed))
    score = 1 / (1 + np.exp(-rng.normal(offset, 1.3, rows)))
    score = np.round(score, 2) if rounded else score
    weight = rng.exponential(size=rows)
    return score, (rng.random(rows) < score).astype(int), weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "ties"])
def test_net_benefits_are_those_of_the_definition(rounded, weighted):
    score, outcome, weight = draw(500, rounded=rounded)
    weight = weight if weighted else np.ones(500)
    p = ct.Predictions.from_probs(score, outcome, weights=weight if weighted else None)
    rate = np.average(outcome, weights=weight)
    for standardised in (False, True):
        data = decision_curve.compute(p, thresholds="0-0.5", standardised=standardised, **FEW)
        np.testing.assert_allclose(data.thresholds, np.arange(101) / 200)
        value = [
            np.average((score >= t) * (outcome - (1 - outcome) * t / (1 - t)), weights=weight)
            for t in data.thresholds
        ]
        unit = rate if standardised else 1
        np.testing.assert_allclose(data.curves[0].value, np.array(value) / unit, atol=1e-12)
        everybody = rate - (1 - rate) * data.thresholds / (1 - data.thresholds)
        np.testing.assert_allclose(data.everybody[0].value, everybody / unit, atol=1e-12)
        assert data.everybody[0].rate == pytest.approx(rate)


def test_intervals_are_those_of_evaluate():
    score, outcome, _ = draw(400)
    p = ct.Predictions.from_probs(score, outcome)
    data = decision_curve.compute(p, thresholds="0.1-0.5", **FEW)
    for k in (0, 25, 100):
        spec = f"net-benefit(threshold={data.thresholds.tolist()[k]!r})"
        own = ct.evaluate(p, [spec], **FEW).estimates[0]
        curve = data.curves[0]
        assert curve.value[k] == own.value
        # more cells end at thresholds, so that the draws of a cell are others; 60 replicates
        width = own.high - own.low
        assert (curve.low[k], curve.high[k]) == pytest.approx((own.low, own.high), abs=0.1 * width)
    assert (data.curves[0].low <= data.curves[0].value).all()
    assert (data.curves[0].value <= data.curves[0].high).all()


def test_a_perfect_model_has_the_rate_of_the_outcome_at_every_threshold():
    outcome = (np.arange(200) % 5 == 0).astype(int)
    data = decision_curve.compute(ct.Predictions.from_probs(outcome * 1.0, outcome), **FEW)
    np.testing.assert_allclose(data.curves[0].value, 0.2)
    assert data.thresholds[-1] == decision_curve.LAST


@pytest.mark.parametrize(("offset", "last"), [(-6.0, 0.05), (0.0, 0.99)])
def test_the_last_threshold_is_one_that_some_rows_reach(offset, last):
    score, outcome, _ = draw(5000, offset=offset)
    data = decision_curve.compute(ct.Predictions.from_probs(score, outcome), ci="none")
    assert data.thresholds[-1] == pytest.approx(last)
    assert (score > data.thresholds[-1]).mean() <= 0.01
    assert np.isnan(data.curves[0].low).all()


def test_several_files_and_a_calibrator():
    sets = {}
    for name, offset in (("a", -1.0), ("b", 0.5)):
        score, outcome, _ = draw(400, offset=offset)
        sets[name] = ct.Predictions.from_probs(score**2, outcome)
    data = decision_curve.compute(sets, **FEW)
    assert [c.label for c in data.curves] == ["a", "b"]
    assert [e.label for e in data.everybody] == ["a", "b"]  # of two outcome rates
    after = ct.fit("isotonic", sets["a"])
    data = decision_curve.compute(sets["a"], calibrators=[after], **FEW)
    first, second = data.curves
    assert first.label == "as given"
    assert [e.label for e in data.everybody] == [""]
    # no other order of the rows: what calibrating gains is at the thresholds that it moves
    assert (second.value >= first.value - 1e-12).mean() > 0.9


@pytest.mark.parametrize("thresholds", ["0.5-0.2", "0.2", "a-b", "0.2-1", "-0.1-0.5"])
def test_thresholds_that_are_none(thresholds):
    score, outcome, _ = draw(50)
    p = ct.Predictions.from_probs(score, outcome)
    with pytest.raises(UsageError, match=r"such as 0\.05-0\.3"):
        decision_curve.compute(p, thresholds=thresholds, **FEW)


@pytest.mark.parametrize("kind", [decision_curve, outcomes])
def test_more_classes_and_confidences_are_refused(kind):
    rng = np.random.Generator(np.random.PCG64(1))
    many = ct.Predictions.from_probs(rng.dirichlet(np.ones(3), 40), rng.integers(0, 3, 40))
    with pytest.raises(UsageError, match="needs two classes; there are 3 classes"):
        kind.compute(many, **FEW)
    alone = ct.Predictions.from_confidence(rng.random(40), rng.integers(0, 2, 40))
    with pytest.raises(UsageError, match="there are confidences only"):
        kind.compute(alone, **FEW)


def test_cells_give_the_outcomes_but_no_decision_curve():
    score, outcome, _ = draw(800)
    p = ct.Predictions.from_probs(score, outcome)
    cells = ct.cells(p)
    with pytest.raises(InputError, match="draw it from rows"):
        decision_curve.compute(cells, **FEW)
    rows, kept = (outcomes.compute(x, **FEW) for x in (p, cells))
    for a, b in zip(rows.sides, kept.sides, strict=True):
        np.testing.assert_allclose(a.mass, b.mass)
        assert (a.share, a.mean) == pytest.approx((b.share, b.mean))
    none = ct.Predictions.from_probs(score, np.zeros(800, int))
    with pytest.raises(InputError, match="not defined on these data"):
        decision_curve.compute(none, standardised=True, **FEW)


@pytest.mark.parametrize("weighted", [False, True])
def test_outcomes_add_up(weighted):
    score, outcome, weight = draw(700)
    weight = weight if weighted else np.ones(700)
    p = ct.Predictions.from_probs(score, outcome, weights=weight if weighted else None)
    data = outcomes.compute(p, bins=10, **FEW)
    for side, own in zip(data.sides, (outcome == 1, outcome == 0), strict=True):
        assert side.mass.sum() == pytest.approx(1)
        assert side.share == pytest.approx(weight[own].sum() / weight.sum())
        assert side.mean == pytest.approx(np.average(score[own], weights=weight[own]))
        counts, _ = np.histogram(score[own], data.edges, weights=weight[own])
        np.testing.assert_allclose(side.mass, counts / weight[own].sum())
        below = weight[own & (score <= side.median)].sum()
        assert below >= weight[own].sum() / 2 - 1e-9


@pytest.mark.parametrize(("most", "end"), [(0.003, 0.01), (0.04, 0.05), (0.6, 1.0)])
def test_the_axis_of_rare_outcomes_ends_where_their_probabilities_do(most, end):
    score = np.linspace(0, most, 100)
    data = outcomes.compute(ct.Predictions.from_probs(score, np.arange(100) == 99), **FEW)
    assert data.edges[-1] == pytest.approx(end)


def test_the_loess_form_is_the_curve_of_the_ici():
    score, outcome, _ = draw(900)
    p = ct.Predictions.from_probs(score**2, outcome)
    data = reliability.compute(p, form="loess", **FEW)
    (curve,) = data.curves
    assert curve.estimates[0].name == "ici"
    cells = Cells.from_rows(score**2, outcome)
    exact = loess(cells)
    gap = np.abs(exact - cells.centres())
    assert curve.estimates[0].value == pytest.approx(np.average(gap, weights=cells.n))
    on_curve = np.interp(curve.score, cells.centres(), exact)
    np.testing.assert_allclose(curve.outcome, on_curve, atol=1e-9)
    inside = np.isfinite(curve.low)
    assert (curve.low[inside] <= curve.outcome[inside]).all()
    assert (curve.outcome[inside] <= curve.high[inside]).all()


def test_thresholds_of_one_score_have_an_axis():
    """Found by tools/fuzz.py, seed 270001."""
    p = ct.Predictions.from_probs([[0.0, 0.0, 1.0]], [2])
    figure = ct.plot.figure("threshold", ct.plot.threshold(p, resamples=0))
    low, high = figure.axes[0].get_xlim()
    assert low < high
