"""Laws over the whole table of calibrators."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators import calibrator
from calibtool.calibrators.multiclass_curves import MULTICLASS
from calibtool.calibrators.registry import METHODS, finite_options, module_of
from calibtool.data.rows import to_probs

NAMES = list(METHODS)
BINARY = [name for name, line in METHODS.items() if line.binary]
ORDERED = [name for name, line in METHODS.items() if line.keeps_order]
ANY_FORM = [name for name, line in METHODS.items() if line.any_form]
ZEROS = [name for name, line in METHODS.items() if line.zeros]
FINITE = [name for name in NAMES if name not in ZEROS]  # no probability of 0
SMOOTHING = [name for name in NAMES if "smoothing" in signature(module_of(name).fit).parameters]
# curves that never fall for two classes; BBQ and ENIR may, by their definition
RISING = [*ORDERED, "platt", "beta", "spline", "isotonic", "venn-abers", "scaling-binning"]


@pytest.fixture(params=NAMES)
def method(request):
    return request.param


def probabilities(p):
    return to_probs(p).matrix()


def assert_probabilities(probs):
    assert np.isfinite(probs).all()
    assert (probs >= 0).all()
    assert (probs <= 1 + 1e-12).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_what_comes_out_is_probabilities(method, classes, kind):
    p = simulate(2000, classes)
    p = p if kind == "logits" else to_probs(p)
    after = ct.fit(method, p)(p)
    assert_probabilities(probabilities(after))
    assert after.rows == p.rows
    assert after.classes == classes


@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_rows_that_the_fit_has_never_seen_get_probabilities_too(method, kind, overconfident):
    fitted = ct.fit(method, overconfident if kind == "logits" else to_probs(overconfident))
    extremes = np.array([[900.0, 0, 0, -900, 0], [0] * 5, [1e-30, 1e3, 1e3, 0, 0], [-700] * 5])
    p = ct.Predictions.from_logits(extremes, [0, 1, 2, 3])
    assert_probabilities(probabilities(fitted(p if kind == "logits" else to_probs(p))))


@pytest.mark.parametrize("method", ANY_FORM)
def test_one_column_is_fitted_like_two(method):
    two = simulate(1500, 2)
    one_column = ct.Predictions.from_logits(two.values[:, 1] - two.values[:, 0], two.labels)
    np.testing.assert_allclose(
        probabilities(ct.fit(method, one_column)(one_column)),
        probabilities(ct.fit(method, two)(two)),
        atol=1e-7,
    )


def test_survives_save_and_load_to_the_bit(method, tmp_path, overconfident):
    fitted = ct.fit(method, overconfident)
    fitted.save(tmp_path / "cal.json")
    loaded = ct.load_calibrator(tmp_path / "cal.json")
    assert loaded.fitted == fitted.fitted
    assert loaded.describe() == fitted.describe()
    np.testing.assert_array_equal(loaded(overconfident).values, fitted(overconfident).values)
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "cal.json").read_text()


def test_the_file_is_data_of_numbers_and_words(method, tmp_path, overconfident):
    ct.fit(method, overconfident).save(tmp_path / "cal.json")
    document = json.loads((tmp_path / "cal.json").read_text())
    assert document["format"] == "calibtool-calibrator"
    assert document["method"] == method
    assert document["fitted"]["rows"] == overconfident.rows


def test_a_parameter_that_is_missing_is_an_error_with_its_name(method, tmp_path, overconfident):
    ct.fit(method, overconfident).save(tmp_path / "cal.json")
    document = json.loads((tmp_path / "cal.json").read_text())
    for key in document["parameters"]:
        damaged = {**document, "parameters": {**document["parameters"]}}
        del damaged["parameters"][key]
        (tmp_path / "bad.json").write_text(json.dumps(damaged))
        with pytest.raises(ct.CalibtoolError, match=rf"parameters\.{key} is missing"):
            ct.load_calibrator(tmp_path / "bad.json")


@pytest.mark.parametrize("method", ["temperature", "bias-corrected", "platt"])
def test_a_calibrated_set_refits_to_about_the_identity(method):
    p = simulate(3000, 2 if METHODS[method].binary else 5)
    once = ct.fit(method, p)(p)
    again = ct.fit(method, once)(once)
    np.testing.assert_allclose(probabilities(again), probabilities(once), atol=1e-6)


@pytest.mark.parametrize("method", ["isotonic"])
def test_a_calibrated_set_stays_as_it_is(method):
    p = to_probs(simulate(3000, 2))
    once = ct.fit(method, p)(p)
    np.testing.assert_allclose(ct.fit(method, once)(once).values, once.values, atol=1e-12)


@pytest.mark.parametrize("method", ORDERED)
@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_those_that_keep_the_order_keep_it(method, kind, overconfident):
    p = overconfident if kind == "logits" else to_probs(overconfident)
    after = ct.fit(method, p)(p)
    order = np.argsort(p.values, axis=1)
    assert (np.diff(np.take_along_axis(after.values, order, axis=1), axis=1) >= 0).all()


@pytest.mark.parametrize("method", RISING)
def test_rising_ones_never_swap_two_scores(method):
    p = simulate(2000, 2)
    fitted = ct.fit(method, p)
    line = ct.Predictions.from_logits(np.linspace(-12, 12, 999), None)
    assert (np.diff(probabilities(fitted(line))[:, 1]) >= -1e-15).all()


@pytest.mark.parametrize("method", ANY_FORM)
def test_logits_and_probabilities_lead_to_the_same_fit(method, overconfident):
    from_logits = probabilities(ct.fit(method, overconfident)(overconfident))
    probs = to_probs(overconfident)
    np.testing.assert_allclose(ct.fit(method, probs)(probs).values, from_logits, atol=1e-6)


@pytest.mark.parametrize("method", ANY_FORM)
def test_a_constant_added_to_a_row_of_logits_changes_nothing(method, overconfident):
    shift = np.random.Generator(np.random.PCG64(0)).normal(0, 10, (overconfident.rows, 1))
    moved = replace(overconfident, values=overconfident.values + shift)
    np.testing.assert_allclose(
        probabilities(ct.fit(method, moved)(moved)),
        probabilities(ct.fit(method, overconfident)(overconfident)),
        atol=1e-6,
    )


def test_a_weight_of_k_equals_k_copies(method):
    p = simulate(500, 3)
    copies = np.random.Generator(np.random.PCG64(2)).integers(0, 4, p.rows)
    weighted = ct.Predictions.from_logits(p.values, p.labels, weights=copies)
    repeated = p.take(np.repeat(np.arange(p.rows), copies))
    np.testing.assert_allclose(
        probabilities(ct.fit(method, weighted)(p)),
        probabilities(ct.fit(method, repeated)(p)),
        atol=1e-6,
    )


def test_row_order_does_not_matter(method):
    p = simulate(600, 3)
    order = np.random.Generator(np.random.PCG64(3)).permutation(p.rows)
    np.testing.assert_allclose(
        probabilities(ct.fit(method, p.take(order))(p)),
        probabilities(ct.fit(method, p)(p)),
        atol=1e-7,
    )


def test_it_helps_on_rows_that_it_has_not_seen(method):
    p, fresh = simulate(6000, 3, scale=3.0), simulate(6000, 3, scale=3.0, seed=1)
    brier = [
        ct.evaluate(rows, ["brier"], ci="none")["brier"].value
        for rows in (fresh, ct.fit(method, p)(fresh))
    ]
    assert brier[1] < brier[0]


def test_another_number_of_classes_is_an_error(method, overconfident):
    fitted = ct.fit(method, overconfident)
    with pytest.raises(ct.CalibtoolError, match="has 3 classes, the calibrator was fitted for 5"):
        fitted(simulate(10, 3))


@pytest.mark.parametrize("method", [n for n, line in METHODS.items() if not line.to_confidences])
def test_confidences_alone_are_an_error_where_rows_must_be_whole(method):
    with pytest.raises(ct.CalibtoolError, match="whole rows"):
        ct.fit(method, ct.Predictions.from_confidence([0.5, 0.6], [0, 1]))


def test_no_labels_are_an_error(method):
    with pytest.raises(ct.CalibtoolError, match="a fit needs labels"):
        ct.fit(method, ct.Predictions.from_logits([[0.5, 0.6]], None))


def test_class_names_in_another_order_are_an_error(method):
    p = simulate(500, 3)
    named = ct.Predictions.from_logits(p.values, p.labels, class_names=("a", "b", "c"))
    turned = ct.Predictions.from_logits(p.values, p.labels, class_names=("a", "c", "b"))
    fitted = ct.fit(method, named)
    assert fitted(p).rows == 500
    with pytest.raises(ct.CalibtoolError, match="'c' stands where"):
        fitted(turned)


@pytest.mark.parametrize("case", ["one class", "one row", "absent", "separable", "constant"])
def test_data_that_are_too_poor_are_an_error_or_a_finite_fit(method, case):
    p = {
        "one class": lambda: ct.Predictions.from_logits(simulate(60, 3).values, np.zeros(60, int)),
        "one row": lambda: simulate(1, 3),
        "absent": lambda: ct.Predictions.from_logits(
            simulate(300, 3).values, simulate(300, 3).labels % 2
        ),
        "separable": lambda: ct.Predictions.from_logits(
            np.eye(3)[np.arange(90) % 3], np.arange(90) % 3
        ),
        "constant": lambda: ct.Predictions.from_logits(np.zeros((90, 3)), np.arange(90) % 3),
    }[case]()
    try:
        fitted = ct.fit(method, p)
    except ct.CalibtoolError as error:
        text = str(error)
    else:
        assert_probabilities(probabilities(fitted(p)))
        text = fitted.describe()
    assert len(text) > 15


@pytest.mark.parametrize("method", BINARY)
@pytest.mark.parametrize("multiclass", MULTICLASS)
@pytest.mark.parametrize("classes", [2, 4])
def test_every_wrapper_takes_every_binary_calibrator(method, multiclass, classes, tmp_path):
    p = simulate(1500, classes)
    fitted = ct.fit(method, p, multiclass=multiclass)
    assert_probabilities(probabilities(fitted(p)))
    fitted.save(tmp_path / "cal.json")
    loaded = ct.load_calibrator(tmp_path / "cal.json")
    np.testing.assert_array_equal(loaded(p).values, fitted(p).values)


def test_groups_get_calibrators_of_their_own(method, tmp_path):
    p = simulate(1600, 3)
    group = np.where(np.arange(p.rows) % 2, "a", "b")
    p = replace(p, extra={"country": group})
    fitted = ct.fit(method, p, by="country")
    fitted.save(tmp_path / "cal.json")
    after = ct.load_calibrator(tmp_path / "cal.json")(p)
    for name in ("a", "b"):
        rows = p.take(np.flatnonzero(group == name))
        np.testing.assert_allclose(
            probabilities(after)[group == name],
            probabilities(ct.fit(method, rows)(rows)),
            atol=1e-12,
        )
    with pytest.raises(ct.CalibtoolError, match="no calibrator was fitted for 'c'"):
        fitted(replace(p, extra={"country": np.full(p.rows, "c")}))
    with pytest.raises(ct.CalibtoolError, match="no column 'country'"):
        fitted(replace(p, extra={}))


@pytest.mark.parametrize("method", FINITE)
def test_other_class_shares_are_those_of_the_shifted_rows(method):
    """Where class 1 is rarer, the calibrator for the shifted prior beats the one without."""
    p, fresh = simulate(6000, 2), simulate(20_000, 2, seed=1)
    keep = np.flatnonzero((fresh.labels == 0) | (np.arange(fresh.rows) % 8 == 0))
    rare = fresh.take(keep)
    share = rare.labels.mean()
    fitted = ct.fit(method, p)
    shifted = fitted.for_prior([1 - share, share])
    nll = [
        ct.evaluate(calibrator(rare), ["nll"], ci="none")["nll"].value
        for calibrator in (fitted, shifted)
    ]
    assert nll[1] < nll[0]
    assert_probabilities(probabilities(shifted(rare)))


def test_an_option_that_is_not_its_own_is_an_error(method, overconfident):
    with pytest.raises(ct.CalibtoolError, match="nonsense"):
        ct.fit(method, overconfident, nonsense=1)


@pytest.mark.parametrize("method", [name for name in NAMES if not METHODS[name].any_form])
def test_fitted_on_logits_it_refuses_probabilities(method, overconfident):
    fitted = ct.fit(method, overconfident)
    with pytest.raises(ct.CalibtoolError, match="holds probabilities, and the calibrator was"):
        fitted(to_probs(overconfident))
    probs = to_probs(overconfident)
    on_probs = ct.fit(method, probs)
    np.testing.assert_allclose(
        probabilities(on_probs(overconfident)), probabilities(on_probs(probs)), atol=1e-9
    )


def test_few_rows_are_told_with_the_number_that_would_do(method):
    p = simulate(20, 3)
    try:
        notes = ct.fit(method, p).fitted.notes
    except ct.CalibtoolError:
        return
    wanted = 3 * METHODS[method].enough
    assert f"20 rows of 3 classes are few for {method}" in notes[-1]
    assert f"from {wanted:,} rows on" in notes[-1]


def test_the_module_is_found_by_the_name(method):
    assert module_of(method).fit.__doc__


def test_applied_in_blocks_or_whole_it_is_the_same(method, overconfident, monkeypatch):
    fitted = ct.fit(method, overconfident)
    whole = fitted(overconfident).values
    parts = [fitted(block).values for block in overconfident.blocks(700)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-14, atol=1e-15)
    monkeypatch.setattr(calibrator, "PIECE", 700 * overconfident.values.shape[1])
    monkeypatch.setattr(calibrator, "cores", lambda: 3)
    np.testing.assert_array_equal(fitted(overconfident).values, np.concatenate(parts))


# ------------------------------------------------------------------ probabilities of 0 and 1


@pytest.mark.parametrize("multiclass", MULTICLASS)
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("method", ZEROS)
def test_smoothing_makes_the_nll_of_new_rows_finite(method, classes, multiclass):
    fit_rows, fresh = simulate(150, classes), simulate(5000, classes, seed=1)
    nll = [
        ct.evaluate(fresh, ["nll"], calibrator=fitted, ci="none").after[0].value
        for fitted in (
            ct.fit(method, fit_rows, multiclass=multiclass),
            ct.fit(method, fit_rows, multiclass=multiclass, **finite_options(method)),
        )
    ]
    assert nll[0] == np.inf or multiclass == "shared"  # 600 rows share a curve
    assert nll[1] < np.log(classes)


@pytest.mark.parametrize("method", NAMES)
def test_those_without_zeros_give_none_on_new_rows(method):
    fitted = ct.fit(method, simulate(150, 3), **finite_options(method))
    p = probabilities(fitted(simulate(5000, 3, seed=1)))
    assert p.min() > 0
    assert p.max() < 1


@pytest.mark.parametrize("binning", ["equal-width", "equal-mass"])
def test_smoothed_histogram_is_laplace_s(binning):
    p = to_probs(simulate(400, 2))
    plain = ct.fit("histogram", p, binning=binning).map.curves[0]
    smooth = ct.fit("histogram", p, binning=binning, smoothing=True).map.curves[0]
    np.testing.assert_array_equal(smooth.edges, plain.edges)
    at = np.searchsorted(plain.edges, p.matrix()[:, 1])
    n, k = np.bincount(at), np.bincount(at, p.labels)
    np.testing.assert_allclose(plain.values, k / n)
    np.testing.assert_allclose(smooth.values, (k + 1) / (n + 2))


@pytest.mark.parametrize("centred", [False, True])
def test_smoothed_isotonic_is_that_of_two_rows_more(centred):
    p = to_probs(simulate(300, 2))
    score = p.matrix()[:, 1]
    more = ct.Predictions.from_probs(
        np.append(score, [score.min(), score.max()]), np.append(p.labels, [1, 0])
    )
    smooth = ct.fit("isotonic", p, centred=centred, smoothing=True).map.curves[0]
    by_rows = ct.fit("isotonic", more, centred=centred).map.curves[0]
    if centred:  # the two rows have no say in where a block's point is
        np.testing.assert_allclose(smooth.y, by_rows.y)
    else:
        line = np.linspace(0, 1, 999)
        np.testing.assert_allclose(smooth(line), by_rows(line))
    assert (np.diff(smooth.y) >= 0).all()
    assert 0 < smooth.y[0] < smooth.y[-1] < 1


@pytest.mark.parametrize("method", SMOOTHING)
def test_with_smoothing_a_class_needs_no_rows(method):
    p = ct.Predictions.from_probs(simulate_scores(), np.zeros(60, int))
    with pytest.raises(ct.CalibtoolError, match="--smoothing"):
        ct.fit(method, p)
    after = ct.fit(method, p, smoothing=True)(p).values
    assert 0 < after.min() <= after.max() < 0.6


def simulate_scores():
    return np.linspace(0.05, 0.95, 60)


@pytest.mark.parametrize("method", SMOOTHING)
def test_smoothing_counts_weights_as_copies_and_is_in_the_file(method, tmp_path):
    p = simulate(500, 3)
    copies = np.random.Generator(np.random.PCG64(2)).integers(0, 4, p.rows)
    weighted = ct.fit(method, replace(p, weights=copies.astype(float)), smoothing=True)
    repeated = ct.fit(method, p.take(np.repeat(np.arange(p.rows), copies)), smoothing=True)
    np.testing.assert_allclose(
        probabilities(weighted(p)), probabilities(repeated(p)), atol=1e-9, rtol=1e-6
    )
    weighted.save(tmp_path / "cal.json")
    loaded = ct.load_calibrator(tmp_path / "cal.json")
    assert loaded.fitted.options["smoothing"] is True
    np.testing.assert_array_equal(loaded(p).values, weighted(p).values)
