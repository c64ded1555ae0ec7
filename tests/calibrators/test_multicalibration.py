"""Multicalibration: laws of its own, since it takes columns, on made data whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

import calibtool as ct
from calibtool.analysis.slice_search import search_slices
from calibtool.calibrators.crossfit import folds
from calibtool.calibrators.export.write import export
from calibtool.calibrators.nested_maps import Patched
from calibtool.data.rows import to_probs
from calibtool.errors import CalibtoolError, InputError, UsageError

BY = "country,age"


def made(rows, seed, *, shift=1.0, slope=1.0, kind="probs"):
    """Scores of one column that are true but in country b, where log-odds are off by `shift`, and
    above the age of 40, where they are `slope` times as large as they should be."""
    rng = np.random.Generator(np.random.PCG64(seed))
    country = rng.choice(list("abc"), rows, p=[0.5, 0.3, 0.2])
    age = rng.normal(40, 12, rows)
    z = rng.normal(-0.5, 1.2, rows)
    true = np.where(age > 40, z / slope, z) - shift * (country == "b")
    labels = (rng.random(rows) < expit(true)).astype(int)
    p = (
        ct.Predictions.from_logits(z, labels)
        if kind == "logits"
        else ct.Predictions.from_probs(expit(z), labels)
    )
    return replace(p, extra={"country": country, "age": age}), true


def nll(p):
    positive = to_probs(p).values[:, -1]
    return -np.mean(np.log(np.where(p.labels == 1, positive, 1 - positive)))


def true_nll(p, true):
    return -np.mean(np.log(np.where(p.labels == 1, expit(true), expit(-true))))


def worst(p):
    return search_slices(p, ["country", "age"]).error.value


@pytest.mark.parametrize("kind", ["logits", "probs"])
@pytest.mark.parametrize(("shift", "slope"), [(1.0, 1.0), (0.0, 2.0), (0.8, 2.0)])
def test_slices_that_are_off_by_known_amounts_are_repaired_on_fresh_rows(kind, shift, slope):
    p, _ = made(10_000, 0, shift=shift, slope=slope, kind=kind)
    fresh, true = made(20_000, 1, shift=shift, slope=slope, kind=kind)
    fitted = ct.fit("multicalibration", p, by=BY)
    after = fitted(fresh)
    gain, most = nll(fresh) - nll(after), nll(fresh) - true_nll(fresh, true)
    assert gain > 0.75 * most  # of what the true probabilities gain
    assert worst(fresh) > 6
    assert worst(after) < 0.5 * worst(fresh)
    assert fitted.fitted.nll_after < fitted.fitted.nll_before


def test_where_nothing_is_off_nothing_is_changed():
    changed = 0
    for seed in range(20):
        p, _ = made(2000, 100 + seed, shift=0.0)
        after = ct.fit("multicalibration", p, by=BY)(p)
        changed += not np.allclose(after.values, p.values, rtol=0, atol=1e-14)
    # a base and patches begin at a chance of 5 % each: of 20 sets, at most 5 in 99 % of cases
    assert changed <= 5


def test_the_record_tells_what_was_off_and_what_is_left():
    p, _ = made(10_000, 0)
    record = ct.fit("multicalibration", p, by=BY, single=True).fitted
    assert record.options == {"by": BY, "tolerance": 0.0, "single": True, "monotone": False}
    assert "the worst slice is country b, " in record.notes[0]
    assert "without any slice off, the worst would stay below" in record.notes[0]
    calm, _ = made(10_000, 0, shift=0.0)
    (note,) = ct.fit("multicalibration", calm, by=BY).fitted.notes
    assert note.startswith("no slice is off by more than chance on held-out rows: the worst is ")


def test_a_tolerance_leaves_smaller_errors_alone():
    p, _ = made(10_000, 0)  # country b is off by about 0.17
    patched = {
        tolerance: ct.fit("multicalibration", p, by="country", tolerance=tolerance)
        for tolerance in (0.0, 0.05, 0.5)
    }
    assert patched[0.5].map.patches == ()
    assert patched[0.05].map.patches
    left = {key: worst(cal(p)) for key, cal in patched.items()}
    assert left[0.0] < left[0.05] < left[0.5]


def test_single_columns_make_no_pairs():
    p, _ = made(5000, 0, slope=2.0)
    off = (p.extra["country"] == "c") & (p.extra["age"] > 45)
    p = replace(p, labels=np.where(off, 1, p.labels))

    def sizes(**options):
        found = ct.fit("multicalibration", p, by=BY, **options).map.patches
        return {len(patch.where) for patch in found}

    assert 2 in sizes()
    assert 2 not in sizes(single=True)


def test_monotone_keeps_the_order_of_scores_among_rows_of_the_same_values():
    # in country b, the higher the score, the rarer the outcome: patches would turn the order around
    p, _ = made(4000, 0, shift=0.0)
    inside = p.extra["country"] == "b"
    p = replace(p, labels=np.where(inside, p.values[:, 0] < 0.4, p.labels).astype(int))
    line = expit(np.linspace(-8, 8, 161))
    turned = {}
    for monotone in (False, True):
        fitted = ct.fit("multicalibration", p, by=BY, monotone=monotone)
        falls = []
        for country in "abc":
            for age in (20.0, 60.0, np.nan):
                extra = {"country": np.full(161, country), "age": np.full(161, age)}
                after = fitted(replace(ct.Predictions.from_probs(line, None), extra=extra))
                falls.append(np.diff(after.values[:, 0]).min())
        turned[monotone] = min(falls)
    assert turned[True] >= -1e-15
    assert turned[False] < -1e-3


def test_scores_against_the_outcome_cannot_be_repaired_by_rising_maps():
    p, _ = made(4000, 0)
    p = replace(p, labels=1 - p.labels)
    with pytest.raises(CalibtoolError, match="which no rising map repairs; leave out --monotone"):
        ct.fit("multicalibration", p, by=BY, monotone=True)
    assert ct.fit("multicalibration", p, by=BY)(p).rows == 4000


# ------------------------------------------------------------------ kinds


def three(rows, seed):
    """Logits of three classes, twice as large as they should be in country a."""
    rng = np.random.Generator(np.random.PCG64(seed))
    z = rng.normal(0, 1.5, (rows, 3))
    country = rng.choice(list("abc"), rows)
    true = np.where(country == "a", 0.4, 1.0)[:, None] * z
    probs = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (probs.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 2)
    return replace(ct.Predictions.from_logits(z, labels), extra={"country": country})


@pytest.mark.parametrize("form", [lambda p: p, to_probs])
def test_of_more_classes_the_confidence_is_patched(form):
    fitted = ct.fit("multicalibration", form(three(6000, 0)), by="country")
    fresh = form(three(6000, 1))
    after = to_probs(fitted(fresh)).matrix()
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-12)
    before = to_probs(fresh).matrix()
    scores = [-np.log(q[np.arange(6000), fresh.labels]).mean() for q in (before, after)]
    assert scores[1] < scores[0] - 0.02
    # the classes that are not predicted keep the proportions that they have after the base
    base = to_probs(fitted.map.inner(fresh)).matrix()
    first, rows = before.argmax(axis=1), np.arange(6000)
    a, b = (first + 1) % 3, (first + 2) % 3
    np.testing.assert_allclose(
        after[rows, a] * base[rows, b], after[rows, b] * base[rows, a], atol=1e-12
    )


def test_confidences_with_hits_are_patched_too(tmp_path):
    p = three(6000, 0)
    probs = to_probs(p).matrix()
    alone = ct.Predictions.from_confidence(probs.max(axis=1), probs.argmax(axis=1) == p.labels)
    alone = replace(alone, extra=p.extra)
    fitted = ct.fit("multicalibration", alone, by="country")
    assert fitted.classes is None
    fitted.save(tmp_path / "m.json")
    after = ct.load_calibrator(tmp_path / "m.json")(alone)
    assert after.kind == "confidence"
    inside = p.extra["country"] == "a"
    assert abs(after.values[inside].mean() - alone.correct[inside].mean()) < 0.02
    assert abs(alone.values[inside].mean() - alone.correct[inside].mean()) > 0.1


def test_rows_without_weight_do_not_count():
    p, _ = made(3000, 0)
    noise = replace(p.take(slice(0, 500)), labels=np.ones(500, int))
    both = ct.Predictions.from_probs(
        np.concatenate([p.values[:, 0], noise.values[:, 0]]),
        np.concatenate([p.labels, noise.labels]),
        weights=np.append(np.ones(3000), np.zeros(500)),
    )
    extra = {name: np.concatenate([p.extra[name], noise.extra[name]]) for name in p.extra}
    weighted = ct.fit("multicalibration", replace(both, extra=extra), by=BY)
    np.testing.assert_array_equal(
        weighted(p).values, ct.fit("multicalibration", p, by=BY)(p).values
    )


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_one_score_for_all_rows_is_shifted_by_slice(score):
    p, _ = made(4000, 0)
    p = replace(p, values=np.full((4000, 1), score))
    after = ct.fit("multicalibration", p, by="country")(p)
    assert np.isfinite(after.values).all()
    if score == 0.5:
        for name in "abc":
            inside = p.extra["country"] == name
            assert abs(after.values[inside].mean() - p.labels[inside].mean()) < 0.03


# ------------------------------------------------------------------ files


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A calibrator file with patches by a text, by ranges of numbers, and by missing numbers."""
    p, _ = made(10_000, 0, slope=2.0)
    age = np.where(np.arange(10_000) % 5 == 0, np.nan, p.extra["age"])
    labels = np.where(np.isnan(age) & (np.arange(10_000) % 10 == 0), 1, p.labels)
    p = replace(p, labels=labels, extra={**p.extra, "age": age})
    fitted = ct.fit("multicalibration", p, by=BY)
    path = tmp_path_factory.mktemp("saved") / "m.json"
    fitted.save(path)
    return fitted, path, p


def test_it_survives_save_and_load_to_the_bit(saved, tmp_path):
    fitted, path, p = saved
    loaded = ct.load_calibrator(path)
    assert isinstance(loaded.map, Patched)
    assert loaded.fitted == fitted.fitted
    assert loaded.columns == ("age", "country")
    np.testing.assert_array_equal(loaded(p).values, fitted(p).values)
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()


def test_applied_in_blocks_or_whole_it_is_the_same(saved):
    fitted, _, p = saved
    parts = [fitted(block).values for block in p.blocks(700)]
    np.testing.assert_array_equal(np.concatenate(parts), fitted(p).values)


def test_values_that_the_fit_has_not_seen_get_the_patches_of_no_slice(saved):
    fitted, _, p = saved
    few = p.take(slice(0, 50))
    unseen = replace(few, extra={"country": np.full(50, "zz"), "age": np.full(50, 35.0)})
    kept = [patch for patch in fitted.map.patches if "country" not in str(patch.where)]
    without = replace(fitted, map=replace(fitted.map, patches=tuple(kept)))
    np.testing.assert_array_equal(fitted(unseen).values, without(unseen).values)
    # numbers beyond those of the fit are in the outermost range
    old, older = (
        fitted(replace(few, extra={**few.extra, "age": np.full(50, age)})) for age in (95.0, 1e9)
    )
    np.testing.assert_array_equal(old.values, older.values)


def test_numbers_may_come_as_whole_numbers_and_missing_texts_as_none(saved):
    fitted, _, p = saved
    few = p.take(slice(0, 40))
    ages = np.arange(20, 60)
    whole, floats = (
        fitted(replace(few, extra={**few.extra, "age": ages.astype(t)})) for t in ("i4", "f8")
    )
    np.testing.assert_array_equal(whole.values, floats.values)
    countries = np.array([None, *few.extra["country"][1:]], dtype=object)
    assert np.isfinite(fitted(replace(few, extra={**few.extra, "country": countries})).values).all()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"age": np.ones(9)}, "there is no column 'country', by whose slices"),
        ({"country": np.arange(9), "age": np.ones(9)}, "country: holds numbers, the calibrator"),
        (
            {"country": np.full(9, "a"), "age": np.full(9, "old")},
            "age: holds texts, the calibrator was fitted to numbers",
        ),
        (
            {"country": np.full((9, 2), "a"), "age": np.ones(9)},
            "country: holds several values per row",
        ),
    ],
)
def test_columns_that_do_not_fit_are_errors_that_name_them(saved, extra, says):
    fitted, _, p = saved
    with pytest.raises(InputError, match=says):
        fitted(replace(p.take(slice(0, 9)), extra=extra))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.pop("knots"), r"parameters\.knots is missing"),
        (lambda m: m.update(knots=[]), "must be numbers that increase by 1e-09"),
        (lambda m: m.update(knots=[1, 1, 2, 3, 4]), "must be numbers that increase by 1e-09"),
        (lambda m: m.update(knots=[-1e4, 1, 2, 3, 4]), r"knots\[0\] must be a number from -1000"),
        (lambda m: m.update(patches={}), "patches must be a list"),
        (lambda m: m.update(floor=0), "floor must be a number between 0 and 1"),
        (lambda m: m["patches"][0].pop("where"), r"patches\[0\]\.where is missing"),
        (lambda m: m["patches"][0].update(shifts=[1]), "shifts must be a list of 5 numbers"),
        (lambda m: m["patches"][0].update(shifts=[1e9] * 5), "must be a number from -1000"),
        (
            lambda m: m["patches"][0].update(where=[{"column": "age"}]),
            "says neither value, above, upto nor missing",
        ),
        (lambda m: m["patches"][0].update(where=[{"value": 1}]), "column is missing"),
        (
            lambda m: m["patches"][0].update(where=[{"column": "a", "value": [1]}]),
            "value must be a number",
        ),
        (
            lambda m: m["patches"][0].update(where=[{"column": "a", "missing": 1}]),
            "missing must be true or false",
        ),
        (
            lambda m: m["patches"][0].update(where=[{"column": "a", "value": 1}] * 65),
            "where must be a list of at most 64",
        ),
        (lambda m: m.update(patches=m["patches"][:1] * 10_001), "a list of at most 10,000"),
        (lambda m: m.update(inner={"map": "nonsense"}), "map must be one of"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(saved, tmp_path, change, says):
    document = json.loads(saved[1].read_text())
    change(document["parameters"])
    (tmp_path / "bad.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=says):
        ct.load_calibrator(tmp_path / "bad.json")


# ------------------------------------------------------------------ export


def rows_of(p):
    """Each row as an exported function takes it."""
    for k in range(p.rows):
        columns = {name: column[k].item() for name, column in p.extra.items()}
        yield [float(x) for x in p.values[k]], columns


@pytest.mark.parametrize("shares", [None, [0.5, 0.5]])
@pytest.mark.parametrize("kind", ["logits", "probs"])
@pytest.mark.parametrize("one_column", [True, False])
def test_a_python_module_gives_the_same(kind, one_column, shares):
    p, _ = made(4000, 0, slope=2.0)
    z = logit(p.values)
    if not one_column:
        z = np.concatenate([0 * z, z], axis=1)
    own = ct.Predictions.from_logits(z if not one_column else z[:, 0], p.labels)
    p = replace(own if kind == "logits" else to_probs(own), extra=p.extra)
    fitted = ct.fit("multicalibration", p, by=BY)
    fitted = fitted.for_prior(shares) if shares else fitted
    text = export(fitted, "python", kind=kind, one_column=one_column).decode()
    module: dict = {}
    exec(text, module)
    few = p.take(slice(0, 300))
    got = [module["calibrate"](row, columns) for row, columns in rows_of(few)]
    np.testing.assert_allclose(got, to_probs(fitted(few)).matrix(), rtol=1e-12, atol=1e-14)


def test_a_python_module_takes_missing_numbers_and_refuses_other_kinds(saved):
    fitted, _, p = saved
    module: dict = {}
    exec(export(fitted, "python", kind="probs", one_column=True).decode(), module)
    few = p.take(slice(0, 200))
    expected = fitted(few).values[:, 0]
    got = [module["calibrate"](row, columns)[1] for row, columns in rows_of(few)]
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    missing = int(np.flatnonzero(np.isnan(few.extra["age"]))[0])
    row, columns = list(rows_of(few))[missing]
    assert module["calibrate"](row, {**columns, "age": None})[1] == pytest.approx(expected[missing])
    for wrong in ({"country": 1, "age": 2.0}, {"country": "b", "age": "old"}):
        with pytest.raises(TypeError, match=r"must be a (text|number)"):
            module["calibrate"](row, wrong)
    with pytest.raises(KeyError, match=r"country|age"):
        module["calibrate"](row, {})


@pytest.mark.parametrize("to", ["onnx", "c"])
def test_graphs_and_headers_take_no_columns(saved, to):
    with pytest.raises(UsageError, match=r"by age, country, and .* takes scores only; .* python"):
        export(saved[0], to, kind="probs", one_column=True)


@pytest.mark.parametrize("to", ["onnx", "c", "python"])
def test_without_patches_it_is_exported_like_its_base(to):
    p, _ = made(2000, 3, shift=0.0)
    fitted = ct.fit("multicalibration", p, by="country", tolerance=0.9)
    assert not fitted.map.patches
    assert export(fitted, to, kind="probs", one_column=True)


# ------------------------------------------------------------------ correlated rows


def test_rows_of_a_cluster_stay_in_one_fold():
    user = np.random.Generator(np.random.PCG64(0)).integers(0, 50, 1000)
    p = replace(made(1000, 0)[0], extra={"user": user})
    fold = folds(p, cluster="user")
    assert all(len(np.unique(fold[user == k])) == 1 for k in range(50))
    assert len(np.unique(fold)) == 5
    with pytest.raises(InputError, match="user: 4 clusters are too few for 5 folds"):
        folds(replace(p, extra={"user": user % 4}), cluster="user")
    with pytest.raises(InputError, match="no further column 'client'"):
        folds(p, cluster="client")


def test_users_with_outcomes_of_their_own_are_no_slices_that_are_off():
    """Each user has a bias and an age: by rows, ages look off; by users, they are known not to."""
    rng = np.random.Generator(np.random.PCG64(4))
    user = np.repeat(np.arange(150), 40)
    z = rng.normal(-0.5, 1.0, 6000)
    labels = (rng.random(6000) < expit(z + rng.normal(0, 1.0, 150)[user])).astype(int)
    extra = {"user": user, "age": rng.normal(40, 12, 150)[user]}
    p = replace(ct.Predictions.from_probs(expit(z), labels), extra=extra)
    assert ct.fit("multicalibration", p, by="age").map.patches
    held = ct.fit("multicalibration", p, by="age", cluster="user")
    assert not held.map.patches
    assert held.columns == ()
    assert held.fitted.options["cluster"] == "user"


# ------------------------------------------------------------------ what people get wrong


@pytest.mark.parametrize("by", [None, "", "country,country", "country,"])
def test_columns_must_be_named_once(by):
    p, _ = made(100, 0)
    with pytest.raises(UsageError, match=r"name them, such as with --by|twice|expected names"):
        ct.fit("multicalibration", p, by=by)


def test_columns_of_one_value_make_no_slices():
    p, _ = made(3000, 0)
    p = replace(p, extra={**p.extra, "site": np.full(3000, "here")})
    notes = ct.fit("multicalibration", p, by="site,country").fitted.notes
    assert notes[0] == "site: holds one value, so that it makes no slices"


def test_rare_values_that_are_joined_are_told():
    p, _ = made(3000, 0)
    names = np.array([f"n{k}" for k in range(3000)])
    notes = ct.fit("multicalibration", replace(p, extra={"id": names}), by="id").fitted.notes
    assert "The 2,800 rarest of 3,000 values are joined. They are patched as part" in notes[0]


@pytest.mark.parametrize("rows", [1, 9])
def test_too_few_rows_are_an_error(rows):
    with pytest.raises(InputError, match="too few to cross-fit"):
        ct.fit("multicalibration", made(rows, 0)[0], by=BY)


def test_it_is_not_tried_by_those_that_compare_calibrators_of_scores():
    with pytest.raises(UsageError, match="multicalibration needs columns"):
        ct.select(made(500, 0)[0], methods=["multicalibration"])


def test_where_no_temperature_can_be_fitted_the_patches_begin_at_the_scores():
    p = to_probs(three(3000, 0))
    values = np.where(np.arange(3000)[:, None] % 10 == 0, np.eye(3)[p.labels - 1], p.values)
    fitted = ct.fit("multicalibration", replace(p, values=values), by="country")
    assert fitted.map.patches
    assert "the patches begin at the scores as they are: " in fitted.fitted.notes[0]
    assert "probability of exactly 0" in fitted.fitted.notes[0]
