"""The data of diagrams: what each says is what it was given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import simulate

import calibtool as ct
from calibtool.diagrams import (
    belt,
    bins,
    classwise,
    compare,
    confidence,
    confusion_calibration,
    gain,
    reliability,
    risk_coverage,
    shift,
    temperature,
)
from calibtool.diagrams.reliability_curves import binomial_range, percentiles
from calibtool.errors import InputError
from calibtool.intervals.shares import clopper_pearson
from calibtool.metrics.cells import Cells
from calibtool.metrics.ranking import aurc
from calibtool.metrics.smooth import smece, smoothed

FEW = {"resamples": 60}


@pytest.fixture(scope="module")
def rows() -> ct.Predictions:
    return simulate(2000, 4, seed=5)


def top(predictions):
    probs = np.exp(predictions.values - predictions.values.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    return probs.max(axis=1), probs.argmax(axis=1) == predictions.labels, probs


def test_bins_of_a_reliability_diagram_add_up(rows):
    data = reliability.compute(rows, bins=10, **FEW)
    (curve,) = data.curves
    score, right, _ = top(rows)
    where = np.minimum(np.ceil(score * 10).astype(int) - 1, 9)
    for k in range(10):
        own = where == k
        assert curve.mass[k] == pytest.approx(own.mean(), abs=1e-12)
        if own.any():
            assert curve.score[k] == pytest.approx(score[own].mean())
            assert curve.outcome[k] == pytest.approx(right[own].mean())
    some = np.isfinite(curve.outcome)
    assert (curve.low[some] <= curve.outcome[some]).all()
    assert (curve.outcome[some] <= curve.high[some]).all()
    gap = np.nansum(curve.mass * np.abs(curve.outcome - curve.score))
    assert curve.estimates[0].value == pytest.approx(gap)
    assert (curve.said, curve.was) == pytest.approx((score.mean(), right.mean()))


def test_ten_rows_of_weight_two_are_as_sure_as_ten_rows():
    scores, hits = np.full(40, 0.7), np.arange(40) % 4 > 0
    plain = ct.Predictions.from_confidence(scores, hits)
    heavy = replace(plain, weights=np.full(40, 2.0))
    a, b = (reliability.compute(p, **FEW).curves[0] for p in (plain, heavy))
    for name in ("outcome", "low", "high", "least", "most", "mass"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name))


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_exact_intervals_and_ranges_are_those_of_scipy(n, share, level):
    from scipy import stats

    hits = round(share * n)
    low, high = clopper_pearson(np.array([hits / n]), np.array([float(n)]), level)
    known = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    assert (low[0], high[0]) == pytest.approx((known.low, known.high), abs=1e-9)
    least, most = binomial_range(np.array([share]), np.array([float(n)]), level)
    wanted = stats.binom.ppf([(1 - level) / 2, (1 + level) / 2], n, share) / n
    assert (least[0], most[0]) == pytest.approx(tuple(wanted), abs=1.01 / n)
    inside = stats.binom.cdf(round(most[0] * n), n, share)
    inside -= stats.binom.cdf(round(least[0] * n) - 1, n, share)
    assert inside >= level - 1e-9


def test_the_smooth_curve_is_as_far_from_the_diagonal_as_smooth_ece_says(rows):
    score, right, _ = top(rows)
    cells = Cells.from_rows(score, right)
    width = float(smece(cells))
    at = np.linspace(0, 1, 4001)
    density, gap = smoothed(cells, at, bandwidth=width)
    area = np.trapezoid(np.nan_to_num(density * np.abs(gap)), at)
    assert area == pytest.approx(width, rel=1e-3)
    assert np.trapezoid(density, at) == pytest.approx(1, rel=1e-3)


def test_the_smooth_curve_of_replicates_is_that_of_each():
    rng = np.random.Generator(np.random.PCG64(0))
    n = rng.integers(1, 9, (3, 20)).astype(float)
    at = np.sort(rng.random(20))
    y = np.floor(n * rng.random((3, 20)))
    many = Cells(at, n, n * at, y)
    grid = np.linspace(0, 1, 31)
    density, gap = smoothed(many, grid, bandwidth=0.1)
    for k in range(3):
        own = smoothed(Cells(at, n[k], n[k] * at, y[k]), grid, bandwidth=0.1)
        np.testing.assert_allclose(density[k], own[0], rtol=1e-4)
        np.testing.assert_allclose(gap[k], own[1], atol=1e-4)


def test_isotonic_curves_rise_and_decompose_the_brier_score(rows):
    data = reliability.compute(rows, form="corp", **FEW)
    (curve,) = data.curves
    assert (np.diff(curve.outcome) >= -1e-12).all()
    mcb, dsc, unc = (one.value for one in curve.estimates)
    score, right, _ = top(rows)
    assert mcb - dsc + unc == pytest.approx(((score - right) ** 2).mean())


@pytest.mark.parametrize("form", ["smooth", "corp"])
def test_a_perfect_model_lies_within_its_consistency_band(form):
    perfect = simulate(4000, 4, scale=1.0, seed=8)
    (curve,) = reliability.compute(perfect, form=form, resamples=300).curves
    some = np.isfinite(curve.outcome) & np.isfinite(curve.least) & np.isfinite(curve.most)
    inside = (curve.least <= curve.outcome + 1e-9) & (curve.outcome <= curve.most + 1e-9)
    assert inside[some].mean() > 0.85
    off = simulate(4000, 4, scale=2.5, seed=8)
    (curve,) = reliability.compute(off, form=form, resamples=300).curves
    some = np.isfinite(curve.outcome) & np.isfinite(curve.least) & np.isfinite(curve.most)
    inside = (curve.least <= curve.outcome) & (curve.outcome <= curve.most)
    assert inside[some].mean() < 0.5


def test_by_parts_the_rows_and_leaves_none_out_unsaid(rows):
    group = np.arange(rows.rows) % 3
    parted = replace(rows, extra={"group": group})
    data = reliability.compute(parted, by="group", **FEW)
    assert list(data.panels) == ["group 0", "group 1", "group 2"]
    assert sum(curve.rows for curve in data.curves) == rows.rows
    own = ct.evaluate(rows.take(group == 1), ["ece"], **FEW)["ece"]
    assert data.curves[1].estimates[0].value == own.value
    many = replace(rows, extra={"word": np.array([f"w{k % 40}" for k in range(rows.rows)])})
    data = reliability.compute(many, by="word", **FEW)
    assert len(data.curves) == 12
    left = rows.rows - sum(curve.rows for curve in data.curves)
    assert f"{left:,} rows are not" in data.notes[0]
    numbers = replace(rows, extra={"age": np.linspace(0, 1, rows.rows)})
    data = reliability.compute(numbers, by="age", **FEW)
    assert [curve.rows for curve in data.curves] == [500] * 4


def test_the_strip_and_the_panels_of_classes(rows):
    data = classwise.compute(rows, top=2, bins=10, **FEW)
    _, _, probs = top(rows)
    one = [
        ct.evaluate(
            ct.Predictions.from_probs(probs[:, k], (rows.labels == k).astype(int)),
            ["ece(bins=10)"],
            ci="none",
        )
        for k in range(4)
    ]
    ece = np.array([report["ece(bins=10)"].value for report in one])
    np.testing.assert_allclose(data.ece, ece, rtol=1e-6)
    np.testing.assert_array_equal(data.order, np.argsort(-data.ece, kind="stable"))
    assert [c.estimates[0].value for c in data.curves] == pytest.approx(list(ece[data.order[:2]]))
    assert data.estimates[0].value == pytest.approx(ece.mean())
    np.testing.assert_allclose(data.strip.n.sum(axis=1), rows.rows)
    assert "2 of 4 classes" in data.notes[0]


def test_many_classes_stand_together_in_the_strip():
    rng = np.random.Generator(np.random.PCG64(0))
    z = rng.normal(size=(500, 450)).astype(np.float32)
    data = classwise.compute(
        ct.Predictions.from_logits(z, rng.integers(0, 450, 500)), top=1, resamples=20
    )
    assert len(data.strip.groups) == 200
    np.testing.assert_array_equal(np.concatenate(data.strip.groups), np.arange(450))
    assert data.strip.n.sum() == pytest.approx(500 * 450)


def test_what_a_class_is_taken_for():
    probs = np.eye(3)[[0] * 6 + [1] * 4] * 0.7 + 0.1
    labels = [0, 0, 0, 2, 2, 1, 1, 1, 1, 1]
    made = ct.Predictions.from_probs(probs, labels, class_names=("cat", "dog", "fox"))
    first, second = confusion_calibration.compute(made, **FEW).classes
    assert (first.name, first.rows, first.was) == ("cat", 6, 0.5)
    assert (first.mistaken, first.mistaken_share) == ("fox", pytest.approx(2 / 6))
    assert first.said == pytest.approx(0.8)
    assert (second.name, second.was, second.mistaken) == ("dog", 1.0, "")


def test_histograms_of_right_and_wrong_are_shares_of_their_own(rows):
    data = confidence.compute(rows, bins=5, **FEW)
    score, right, _ = top(rows)
    for group, own in zip(data.groups, (right, ~right), strict=True):
        assert group.rows == own.sum()
        assert group.mass.sum() == pytest.approx(1)
        assert group.mean == pytest.approx(score[own].mean())
        assert group.high == pytest.approx((score[own] > 0.9).mean())
    everybody = ct.Predictions.from_confidence([0.5, 0.9] * 10, [1] * 20)
    assert confidence.compute(everybody, **FEW).groups[1].rows == 0


@pytest.mark.parametrize("view", ["top", "positive"])
def test_the_histograms_of_cells_are_those_of_the_rows(view):
    rows = simulate(3000, 2, seed=8)
    from_rows = confidence.compute(rows, bins=7, view=view, **FEW)
    of_cells = confidence.compute(ct.cells(rows, ["ece(bins=7)"]), bins=7, view=view, **FEW)
    assert of_cells.estimates[0].value == pytest.approx(from_rows.estimates[0].value, abs=1e-4)
    for one, other in zip(of_cells.groups, from_rows.groups, strict=True):
        assert (one.label, one.rows) == (other.label, other.rows)
        np.testing.assert_allclose(one.mass, other.mass, rtol=1e-12)
        assert (one.share, one.high) == pytest.approx((other.share, other.high), rel=1e-12)
        assert one.mean == pytest.approx(other.mean, abs=1e-4)
    with pytest.raises(InputError, match="edges of 7 bins"):
        confidence.compute(ct.cells(rows), bins=7, view=view, **FEW)


def test_ece_of_every_convention_at_every_number_of_bins(rows):
    data = bins.compute(rows, **FEW)
    at = data.numbers.index(20)
    own = ct.evaluate(rows, ["ece(bins=20)", "ada-ece(bins=20)", "smece"], **FEW)
    assert data.estimates["equal width"][at] == own["ece(bins=20)"]
    assert data.estimates["equal mass"][at] == own["ada-ece(bins=20)"]
    assert data.binless == own["smece"]
    from calibtool.metrics.conventions.reproduce import reproduce

    made = {r.metric: r.value for r in reproduce("torchmetrics", rows, bins=20)}
    assert data.libraries["torchmetrics"][at] == pytest.approx(made["ece"])
    assert sum(len(names) for names in data.agreeing) == len(data.libraries)


def test_the_temperature_of_least_nll_is_the_fitted_one(rows):
    data = temperature.compute(rows, **FEW)
    assert data.optimum == pytest.approx(ct.fit("temperature", rows).map.temperature)
    values = [one.value for one in data.nll]
    assert np.argmin(values) == int(np.argmin(np.abs(data.temperature - data.optimum)))
    assert data.at(1.0)[0].value == ct.evaluate(rows, ["nll"], ci="none")["nll"].value
    with pytest.raises(ct.CalibtoolError, match="confidences only"):
        temperature.compute(ct.Predictions.from_confidence([0.5] * 20, [1, 0] * 10), **FEW)


def test_the_area_under_the_risk_curve_is_aurc(rows):
    data = risk_coverage.compute(rows, **FEW)
    (curve,) = data.curves
    score, right, _ = top(rows)
    whole = float(aurc(Cells.from_rows(score, right)))
    assert np.trapezoid(curve.risk, data.coverage) == pytest.approx(whole, abs=2e-3)
    assert curve.risk[-1] == pytest.approx(1 - right.mean())
    assert (curve.best <= curve.risk + 1e-9).all()
    assert (curve.low <= curve.high).all()


def test_stretches_hold_all_rows_in_order(rows):
    value = np.random.Generator(np.random.PCG64(2)).random(rows.rows).round(2)
    data = shift.compute(replace(rows, extra={"age": value}), over="age", groups=8, **FEW)
    assert sum(s.rows for s in data.stretches) == rows.rows
    assert len(data.stretches) == 8
    for a, b in zip(data.stretches, data.stretches[1:], strict=False):
        assert a.high < b.low  # rows of equal value stay together
    days = (np.datetime64("2026-01-01") + np.arange(rows.rows) // 500).astype(str)
    data = shift.compute(replace(rows, extra={"day": days}), over="day", **FEW)
    assert data.is_time
    assert [s.text for s in data.stretches] == [f"2026-01-0{k}T00:00:00" for k in range(1, 5)]
    for bad, says in (
        (np.array(["a"] * rows.rows), "neither"),
        (np.full(rows.rows, np.nan), "fin"),
    ):
        with pytest.raises(ct.CalibtoolError, match=says):
            shift.compute(replace(rows, extra={"x": bad}), over="x", **FEW)
    with pytest.raises(ct.CalibtoolError, match="no column 'y'"):
        shift.compute(rows, over="y", **FEW)


def test_gains_are_those_of_select_and_are_paired(rows):
    data = gain.compute(rows, methods=["temperature", "histogram"], **FEW)
    chosen = ct.select(rows, ["temperature", "histogram"], resamples=50)
    for one in data.gains:
        assert one.after[0].value == pytest.approx(chosen[one.method].nll)
        assert one.after[1].value == pytest.approx(chosen[one.method].ece)
        assert one.change[1].value == pytest.approx(one.after[1].value - data.before[1].value)
    few = rows.take(slice(0, 200))
    fitted = gain.compute(rows, methods=["temperature"], test=few, **FEW)
    own = ct.evaluate(ct.fit("temperature", rows)(few), ["nll"], ci="none")["nll"].value
    assert fitted.gains[0].after[0].value == pytest.approx(own)


def test_gains_of_confidences_are_those_of_select(rows):
    score, right, _ = top(rows)
    alone = ct.Predictions.from_confidence(score, right)
    data = gain.compute(alone, methods=["platt", "temperature"], **FEW)
    chosen = ct.select(alone, ["platt", "temperature"], resamples=50)
    for one in data.gains:
        assert one.after[0].value == pytest.approx(chosen[one.method].nll)
        assert one.after[1].value == pytest.approx(chosen[one.method].ece)
    with pytest.raises(ct.CalibtoolError, match="fit-vector needs whole rows"):
        gain.compute(alone, methods=["vector"], **FEW)


def test_the_belt_is_that_of_the_metric(rows):
    data = belt.compute(rows, level=0.9, **FEW)
    assert data.belt.level == (0.8, 0.9)
    assert (data.belt.low[1] <= data.belt.low[0] + 1e-9).all()
    assert data.belt.p_value < 0.001
    with pytest.raises(ct.CalibtoolError, match="no belt"):
        belt.compute(ct.Predictions.from_confidence([1.0] * 20, [1, 0] * 10), **FEW)


def test_a_model_beside_itself_differs_by_nothing(rows):
    data = compare.compute({"a": rows, "b": rows}, **FEW)
    some = np.isfinite(data.difference.gap)
    assert (data.difference.gap[some] == 0).all()
    assert (data.difference.low[some] == 0).all()
    assert (data.difference.high[some] == 0).all()
    cooled = ct.fit("temperature", rows)(rows)
    data = compare.compute({"a": rows, "b": cooled}, **FEW)
    own = ct.evaluate(rows, ["smece", "nll"], calibrator=ct.fit("temperature", rows), **FEW)
    assert [c.value for c in data.change] == pytest.approx([c.value for c in own.change])
    some = np.isfinite(data.difference.gap)
    one, two = (line.gap[some] for line in data.models)
    np.testing.assert_allclose(data.difference.gap[some], two - one)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda p: p.take(slice(0, 100)), "100"),
        (lambda p: replace(p, labels=p.labels[::-1].copy()), "labels of row"),
        (lambda p: ct.Predictions.from_confidence(*top(p)[:2]), "one problem"),
    ],
)
def test_two_models_are_compared_on_the_same_rows(other, says, rows):
    with pytest.raises(ct.CalibtoolError, match=says):
        compare.compute({"a": rows, "b": other(rows)}, **FEW)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"form": "bars"}, "form"),
        ({"intervals": "wald"}, "clopper-pearson"),
        ({"bands": "some"}, "consistency"),
        ({"view": "positive"}, "two classes"),
        ({"by": "x"}, "no column 'x'"),
    ],
)
def test_options_that_are_none(options, says, rows):
    with pytest.raises(ct.CalibtoolError, match=says):
        reliability.compute(rows, **options, **FEW)


@pytest.mark.parametrize("module", [reliability, confidence, risk_coverage])
def test_a_handful_of_rows_has_a_diagram_without_bands(module):
    few = ct.Predictions.from_confidence([0.2, 0.9, 0.9], [0, 1, 1])
    parts = module.compute(few, **FEW).parts
    assert parts["estimate"]["low"][0] is None


def test_cells_binned_are_cells_pooled():
    rng = np.random.Generator(np.random.PCG64(4))
    score = rng.random(500).astype(np.float32)
    outcome, weights = rng.random(500) < score, rng.random(500)
    edges = np.arange(1, 8) / 7
    a = Cells.binned(score, outcome, edges, weights)
    b = Cells.from_rows(score, outcome, weights).pool(edges)
    for name in ("at", "n", "p", "y"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name))


def test_more_than_a_million_rows_have_the_same_numbers_without_sorting():
    rng = np.random.Generator(np.random.PCG64(6))
    score = (1 - 0.5 * rng.random(1_100_000)).astype(np.float32)
    right = rng.random(len(score)) < score - 0.05
    many = ct.Predictions.from_confidence(score, right)
    (curve,) = reliability.compute(many, resamples=100).curves
    one = curve.estimates[0]
    cells = Cells.from_rows(score, right).pool(np.arange(1, 16) / 15)
    assert one.value == pytest.approx(np.abs(cells.y - cells.p).sum() / len(score))
    # all bins are off by 0.05: the interval is that of the mean gap
    spread = np.sqrt((cells.y - cells.y**2 / np.maximum(cells.n, 1)).sum()) / len(score)
    assert one.low == pytest.approx(one.value - 1.96 * spread, abs=0.5 * spread)
    assert one.high == pytest.approx(one.value + 1.96 * spread, abs=0.5 * spread)
    again = ct.evaluate(many, ["ece"], resamples=100, threads=1)["ece"]
    assert (again.low, again.high) == (one.low, one.high)


def test_names_that_are_numbers_are_no_years_and_times_that_no_calendar_has_are_refused():
    rows = simulate(200, 2)
    names = replace(rows, extra={"part": np.array(["0", "1"])[np.arange(200) % 2]})
    assert not shift.compute(names, over="part", **FEW).is_time
    early = replace(rows, extra={"day": np.array(["0003-01-01", "2026-01-01"])[np.arange(200) % 2]})
    with pytest.raises(ct.CalibtoolError, match="before the year 1000"):
        shift.compute(early, over="day", **FEW)


def test_percentiles_of_columns_with_gaps_are_those_of_the_rest():
    drawn = np.random.default_rng(0).random((400, 5))
    whole = np.stack(percentiles(drawn, 0.9))
    tails = [(1 - 0.9) / 2, (1 + 0.9) / 2]
    drawn[:100, 3] = np.nan
    drawn[:, 4] = np.nan
    found = np.stack(percentiles(drawn, 0.9))
    np.testing.assert_array_equal(found[:, :3], whole[:, :3])  # to the last digit
    np.testing.assert_array_equal(found[:, 3], np.quantile(drawn[100:, 3], tails))
    assert np.isnan(found[:, 4]).all()
