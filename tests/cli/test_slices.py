"""evaluate --by and calibtool slices: the commands as a user runs them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

import calibtool as ct
from calibtool.analysis.slices import evaluate_by
from calibtool.data.slicing import FEW, crossed, partition, with_extra
from calibtool.errors import InputError, UsageError
from calibtool.intervals.saddlepoint import excess, two_sided

FAST = ("--resamples", "100")


@pytest.fixture
def parted(data):
    """Three places, of which one has 12 rows, and ages."""
    rng = np.random.default_rng(2)
    place = np.repeat(["north", "south", "tiny"], [120, 108, 12])
    age = rng.integers(20, 80, 240)
    np.savez("parted.npz", logits=data.logits, labels=data.labels, place=place, age=age)
    return "parted.npz"


def test_a_slice_is_measured_as_if_it_were_a_file(run, parted, data):
    out = run("evaluate", parted, "--by", "place", *FAST, "--format", "json").out
    found = json.loads(out)
    assert (found["format"], found["version"]) == ("calibtool-slices", 2)
    (part,) = found["parts"]
    assert [(one["slice"], one["rows"]) for one in part["slices"]] == [
        ("north", 120),
        ("south", 108),
    ]
    south = ct.Predictions.from_logits(data.logits[120:228], data.labels[120:228])
    alone = ct.evaluate(south, ["ece", "accuracy"], resamples=100)
    for metric in part["slices"][1]["metrics"]:
        if metric["name"] in ("ece", "accuracy"):
            expected = alone[metric["name"]]
            assert metric["value"] == pytest.approx(expected.value)
            assert (metric["low"], metric["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("names", [None, ("b", "a", "c", "unseen")])
def test_predicted_classes_are_slices_as_a_column_of_their_names_is(names):
    rng = np.random.default_rng(6)
    values = rng.random((200, 4)) * [1, 1, 1, 0.01]
    p = ct.Predictions.from_logits(values, rng.integers(0, 4, 200), class_names=names)
    column = np.array(names or list("0123"))[values.argmax(axis=1)]
    by_class, by_name = partition(p, "predicted"), partition(with_extra(p, {"x": column}), "x")
    assert by_class.names == by_name.names
    np.testing.assert_array_equal(by_class.codes, by_name.codes)


@pytest.mark.parametrize("rows", [40, 4000])  # fewer and more than there are combinations
def test_combinations_are_those_that_occur(rows):
    rng = np.random.default_rng(7)
    a, b = rng.integers(0, 9, rows).astype(np.uint8), rng.integers(0, 30, rows).astype(np.uint8)
    codes, names = crossed(a, [f"a{k}" for k in range(9)], b, [f"b{k}" for k in range(30)])
    pairs = sorted({*zip(a.tolist(), b.tolist(), strict=True)})
    assert names == [f"a{k}, b{m}" for k, m in pairs]
    assert [pairs[k] for k in codes.tolist()] == [*zip(a.tolist(), b.tolist(), strict=True)]


def test_small_slices_are_set_apart_with_the_reason(run, parted):
    result = run("evaluate", parted, "--by", "place", *FAST)
    assert f"Set apart, since fewer than {FEW} rows say too little: tiny (12)" in " ".join(
        result.out.split()
    )
    found = json.loads(run("evaluate", parted, "--by", "place", *FAST, "--format", "json").out)
    assert found["parts"][0]["set_apart"] == [{"slice": "tiny", "rows": 12}]


def test_pairs_numbers_and_pseudo_columns_in_80_columns(run, parted):
    by = [
        word for name in ("place,age", "age", "predicted", "confidence") for word in ("--by", name)
    ]
    result = run("evaluate", parted, *by, "--metrics", "accuracy,ece", *FAST)
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    for title in ("by place, age", "By age", "By predicted", "By confidence"):
        assert title in result.out
    rows = list(
        csv.DictReader(
            io.StringIO(
                run("evaluate", parted, *by, "--metrics", "ece", *FAST, "--format", "csv").out
            )
        )
    )
    inside = sum(int(row["rows"]) for row in rows if row["by"] == "predicted")
    assert inside == 240
    assert rows[0]["by"] == ""
    assert rows[0]["rows"] == "240"


def test_the_surest_difference_comes_first_and_is_marked(run):
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 3000)
    place = rng.choice(["a", "b", "c", "d"], 3000)
    y = rng.random(3000) < np.where(place == "c", p**3, p)
    np.savez("p.npz", score=p, label=y.astype(int), place=place)
    columns = ("--score", "score", "--labels", "label")
    out = run("evaluate", "p.npz", *columns, "--by", "place", "--metrics", "ece", *FAST).out
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    assert lines[0].split()[0] == "c"
    assert lines[0].endswith("<0.001*")
    assert all(float(lines[0].split()[2]) > 2 * float(line.split()[2]) for line in lines[1:])


def test_a_slice_that_is_always_right_is_not_tested():
    p = np.tile([0.9, 0.8, 0.7, 0.6], 50)
    right = np.ones(200, bool)
    right[:40] = False
    rows = with_extra(
        ct.Predictions.from_confidence(p, right), {"half": np.repeat(["x", "y"], 100)}
    )
    (part,) = evaluate_by(rows, "half", ["accuracy"], resamples=50).parts
    by_name = {one.name: one.measures[0] for one in part.slices}
    assert by_name["y"].estimate.value == 1.0
    assert by_name["y"].p_value is None
    assert by_name["x"].p_value < 0.05


def test_a_calibrator_is_applied_before(run, parted, calibrator):
    plain = json.loads(run("evaluate", parted, "--by", "place", *FAST, "--format", "json").out)
    after = json.loads(
        run(
            "evaluate",
            parted,
            "--by",
            "place",
            "--calibrator",
            calibrator,
            *FAST,
            "--format",
            "json",
        ).out
    )
    assert "temperature" in after["calibrator"]
    name = [m["name"] for m in plain["whole"]].index("nll")
    assert after["whole"][name]["value"] != plain["whole"][name]["value"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--by", "nowhere"), "there is no column 'nowhere'"),
        (("--by", "place,"), "expected names of columns"),
        (("--by", "place,place"), "twice"),
        (("--by", "place", "--plot"), "--by cannot be combined with"),
        (("--by", "logits"), "several values per row"),
    ],
)
def test_mistakes_are_named(refused, parted, arguments, says):
    refused("evaluate", parted, *arguments, *FAST, says=(says,))


def test_every_row_is_in_one_slice_and_weights_of_0_count_for_nothing():
    rng = np.random.default_rng(5)
    weights = rng.integers(0, 2, 400).astype(float)
    rows = ct.Predictions.from_probs(
        rng.uniform(size=400), rng.integers(0, 2, 400), weights=weights
    )
    rows = with_extra(rows, {"a": rng.choice(["x", "y", ""], 400), "b": rng.normal(size=400)})
    found = partition(rows, "a,b")
    assert len(found.codes) == 400
    assert found.codes.max() < len(found.names) == len(set(found.names))
    assert found.rows.sum() == int((weights > 0).sum())
    assert any(name.startswith("(empty)") for name in found.names)
    with pytest.raises(InputError, match="no further column 'c'"):
        partition(rows, "c")
    with pytest.raises(UsageError, match="names of columns"):
        partition(rows, "a,,b")


def test_tenths_of_the_confidence_hold_about_as_many_rows_each():
    rng = np.random.default_rng(6)
    rows = ct.Predictions.from_probs(rng.uniform(size=1000), rng.integers(0, 2, 1000))
    found = partition(rows, "confidence")
    assert found.rows.tolist() == pytest.approx([100] * 10, abs=2)


# ------------------------------------------------------------------ calibtool slices


@pytest.fixture
def planted():
    """Calibrated scores of 6,000 rows, but for those of one place on one day."""
    rng = np.random.default_rng(11)
    n = 6000
    p = rng.uniform(0.02, 0.98, n)
    place = rng.choice(["a", "b", "c", "d"], n)
    day = rng.integers(0, 5, n)
    bad = (place == "c") & (day == 3)
    y = rng.random(n) < np.where(bad, p**3, p)
    np.savez(
        "planted.npz",
        score=p,
        label=y.astype(int),
        place=place,
        day=day,
        key=np.array([f"k{k}" for k in range(n)]),
        names=np.array(["no", "yes"]),
    )
    return "planted.npz", "--score", "score", "--labels", "label"


def test_what_is_planted_is_found_and_nothing_else(run, planted):
    result = run("slices", *planted)
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    found = json.loads(run("slices", *planted, "--format", "json").out)
    assert found["format"] == "calibtool-found-slices"
    first = found["slices"][0]
    assert (first["by"], first["slice"]) == ("place,day", "c, 3")
    assert first["low"] > 0.1
    assert all(one["explained_by"] == "c, 3" for one in found["slices"][1:])
    assert found["skipped"] == ["key: almost every row has its own value"]
    assert set(found["columns"]) == {"place", "day", "predicted", "confidence"}
    assert "place c, day 3" in " ".join(result.out.split())


def test_single_columns_and_chosen_columns(run, planted):
    found = json.loads(
        run("slices", *planted, "--columns", "day", "--single", "--format", "json").out
    )
    assert found["columns"] == ["day"]
    assert found["tried"] == 5


def test_calibrated_rows_have_no_slice(run):
    rng = np.random.default_rng(12)
    p = rng.uniform(size=3000)
    y = (rng.random(3000) < p).astype(int)
    np.savez("fine.npz", score=p, label=y, place=rng.choice(["a", "b"], 3000))
    result = run("slices", "fine.npz", "--score", "score", "--labels", "label")
    assert result.code == 0
    assert "No slice is confirmed." in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    lines = run("slices", "fine.npz", "--score", "score", "--labels", "label", "--format", "csv")
    assert lines.out.splitlines() == [
        "by,slice,rows,score,outcome,gap,low,high,p_value,adjusted,explained_by"
    ]


def test_rows_that_hang_together_need_the_cluster_option(run):
    """Users have outcomes of their own; rows of a user share all columns."""
    rng = np.random.default_rng(13)
    user = np.repeat(np.arange(100), 40)
    y = rng.random(100)[user] < 0.5
    p = np.full(4000, 0.5) + rng.uniform(-0.01, 0.01, 4000)
    place = rng.choice(list("abcd"), 100)[user]
    np.savez("users.npz", score=p, label=y.astype(int), place=place, user=user)
    arguments = ("slices", "users.npz", "--score", "score", "--labels", "label")
    arguments += ("--columns", "place", "--format", "json")
    assert json.loads(run(*arguments).out)["chosen"] > 0
    held = json.loads(run(*arguments, "--cluster", "user").out)
    assert held["slices"] == []
    assert held["cluster"] == "user"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--columns", "nowhere"), "there is no column 'nowhere'"),
        (("--columns", "day,"), "--columns"),
        (("--cluster", "nowhere"), "nowhere"),
        (("--level", "2"), "--level"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_mistakes_of_the_search_are_named(refused, planted, arguments, says):
    refused("slices", *planted, *arguments, says=(says,))


@settings(max_examples=100)
@given(st.integers(5, 400), st.floats(0.002, 0.998), st.floats(0.0, 1.0))
@example(43, 0.01171875, 0.03125)
def test_saddlepoint_tails_are_those_of_the_binomial(n, p, place):
    x = round(place * n)
    gap, count = np.array([x - n * p]), np.array([[float(n)]])
    found = float(two_sided(gap, count, np.array([p]))[0])
    exact = min(1.0, 2 * min(binom.sf(x - 1, n, p), binom.cdf(x, n, p)))
    if exact > 1e-12:
        assert found == pytest.approx(exact, rel=0.12, abs=0.01)
    low, high = excess(gap, count, np.array([p]), 0.95)
    assert (low[0] > 0 or high[0] < 0) == (found < 0.05)


@pytest.mark.parametrize("by", ["place,age", "predicted", "confidence"])
def test_plots_and_reports_part_the_rows_the_same_way(run, parted, by):
    with np.load(parted) as file:  # enough rows for a diagram of each slice
        np.savez(parted, **{name: np.concatenate([file[name]] * 4) for name in file.files})
    result = run("plot", "reliability", parted, "--by", by, "--data", "x.json", "--resamples", "20")
    assert result.code == 0
    text = Path("x.json").read_text(encoding="utf-8")
    name = {"place,age": "north, ", "predicted": "predicted 0", "confidence": "confidence 1: "}[by]
    assert name in text
    result = run("report", parted, "--by", by, "-o", "r.md", "--resamples", "20")
    assert result.code == 0
    assert f"Slices by {by}" in Path("r.md").read_text(encoding="utf-8")


def test_a_certain_score_that_is_wrong_is_infinitely_far_off(run, folder):
    np.savez("sure.npz", score=np.ones(60), label=np.arange(60) % 2, part=np.arange(60) % 2)
    body = json.loads(run("slices", "sure.npz", "--format", "json").out)
    assert body["mce_slices"]["value"] == "inf"
    assert "infinitely many standard deviations" in run("slices", "sure.npz").out


def test_a_column_of_records_is_not_searched(run, tmp_path):
    pairs = np.zeros(60, [("a", "f4"), ("b", "i4")])
    np.savez(tmp_path / "x.npz", score=np.linspace(0, 1, 60), labels=[0, 1] * 30, pairs=pairs)
    result = run("slices", tmp_path / "x.npz")
    assert result.code == 0, result.err
    assert "pairs: holds several values per row" in result.out


def test_without_a_slice_to_test_nothing_is_said_of_tests(run):
    rows = "".join(f"{(k % 10) / 10},{k % 2},s{k % 30}\n" for k in range(60))
    Path("few.csv").write_text(f"score,label,site\n{rows}")
    said = run("evaluate", "few.csv", "--by", "site", "--metrics", "ece").out
    assert "Set apart" in said
    assert "Holm's correction" not in said
