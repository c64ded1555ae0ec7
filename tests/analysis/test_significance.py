"""Significance tests: valid under the null hypothesis, powerful off it, and fast."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit
from simulated import simulate

import calibtool
from calibtool import Predictions
from calibtool.analysis.significance import run, whole_rows
from calibtool.analysis.significance.null import Null
from calibtool.analysis.significance.registry import TESTS
from calibtool.analysis.significance.result import RedrawOptions, Result, TestResults, WholeRows
from calibtool.analysis.significance.run import significance
from calibtool.analysis.significance.statistics import ece as ece_of
from calibtool.analysis.significance.whole_rows import redrawn_labels
from calibtool.cli.main import group
from calibtool.data.predictions import DataInfo
from calibtool.errors import InputError, UsageError
from calibtool.intervals.multiple import holm
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.cells import Cells
from calibtool.metrics.simplex import skce, skce_width
from calibtool.reports.render import render

OF_ROWS = {"class-consistency", "skce"}


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def binary(n, temperature=1.0, seed=0, weights=None):
    x = 2 * rng(seed).standard_normal(n)
    y = (rng(seed + 1000).random(n) < expit(x)).astype(int)
    return Predictions.from_probs(expit(x * temperature), y, weights=weights)


def p_values(found):
    return {r.name: r.p_value for r in found.results if r.p_value is not None}


@pytest.fixture
def no_search(monkeypatch):
    """Skip the search for the smallest detectable error, which takes half the time."""
    monkeypatch.setattr(run, "detectable", lambda *_: None)


@pytest.mark.usefixtures("no_search")
def test_rejects_as_often_as_it_says_where_scores_are_right():
    """A rough check of an exact method; benchmarks/null.py is the fine one."""
    names = [name for name in TESTS if name not in OF_ROWS]
    found = [
        p_values(significance(binary(80, seed=seed), tests=names, resamples=39, seed=seed))
        for seed in range(24)
    ]
    for name in names:
        p = np.array([one[name] for one in found])
        assert (p <= 0.1).mean() < 0.25, name
        assert 0.3 < p.mean() < 0.7, name


@pytest.mark.parametrize("temperature", [0.6, 1.6])
def test_all_tests_see_what_is_plain(temperature):
    found = significance(binary(3000, temperature), resamples=199)
    seen = {name for name, p in p_values(found).items() if p == 1 / 200}
    assert seen >= set(TESTS) - OF_ROWS
    assert found.reading.startswith("Miscalibrated: consistency, ks, ")
    assert set(found.rejecting) >= seen


def test_tests_of_whole_rows_see_what_the_top_label_does_not():
    """Two classes that are never on top are mixed up."""
    n = 4000
    probs = np.tile([0.6, 0.3, 0.1], (n, 1))
    labels = rng(0).choice(3, size=n, p=[0.6, 0.1, 0.3])
    found = significance(Predictions.from_probs(probs, labels), resamples=199)
    assert found["consistency"].p_value > 0.05
    assert found["class-consistency"].p_value == 1 / 200
    assert found["skce"].p_value == 1 / 200


def test_reading_of_what_is_not_seen():
    found = significance(binary(500), resamples=499)
    assert found.rejecting == ()
    assert found.reading.startswith("None of 9 tests sees miscalibration at n = 500 (the smallest")
    assert found.reading.endswith("would be found with 80 % power at this n.")


def test_too_few_redraws_to_reject_are_named():
    reading = significance(binary(500, 2.0), resamples=99).reading
    assert reading.startswith("99 redraws are too few for 9 tests: none could reject.")


def test_detectable_error_is_detected_that_often():
    n, draws = 1000, 150
    x = 2 * rng(7).standard_normal(n)
    score = expit(x)
    data = Predictions.from_probs(score, (rng(8).random(n) < score).astype(int))
    ece = significance(data, tests="consistency", resamples=999).detectable

    def true_ece(t):
        q = expit(x / t)
        return sum(
            abs((q - score)[(score > k / 15) & (score <= (k + 1) / 15)].sum()) / n
            for k in range(15)
        )

    grid = np.linspace(1, 3, 400)
    t = grid[np.argmax([true_ece(t) >= ece for t in grid])]
    null = Null.of(score, score > 2)
    calm = null.redrawn(generator(Stream.NULL, 1, 0), 999)
    cut = np.quantile(ece_of(calm), 0.95)
    redrawn = null.redrawn(generator(Stream.POWER, 2), draws, expit(x[np.argsort(score)] / t))
    power = (ece_of(redrawn) >= cut).mean()
    assert 0.7 < power < 0.93
    smaller = significance(binary(16_000), tests="consistency", resamples=199).detectable
    assert smaller < ece / 2


def test_redrawn_cells_have_the_mean_and_variance_of_redrawn_rows():
    score = np.repeat(rng(0).random(40), 20).round(2)
    weights = rng(1).exponential(size=800)
    null = Null.of(score, np.zeros(800), weights)
    y = null.redrawn(generator(Stream.NULL, 3, 0), 20_000).y
    at = null.cells.at
    squares = np.array([(weights[score == s] ** 2).sum() for s in at])
    np.testing.assert_allclose(y.mean(0), null.cells.p, rtol=0.03)
    np.testing.assert_allclose(y.var(0), squares * at * (1 - at), rtol=0.06, atol=1e-9)
    assert (y >= -1e-9).all()
    assert (y <= null.cells.n + 1e-9).all()


def test_many_distinct_scores_are_pooled_and_say_about_the_same():
    p, y = binary(6000).values[:, 0], binary(6000).labels
    null = Null.of(p, y)
    assert len(null.cells.at) < 2048
    assert null.cells.y.sum() == y.sum()
    exact = Cells.from_rows(p, y)
    for name in ("consistency", "ks", "kuiper", "spiegelhalter", "cox"):
        rule = TESTS[name].statistic
        assert float(rule(null.cells)) == pytest.approx(float(rule(exact)), rel=0.02), name


def test_t_cal_by_its_definition():
    p, y = binary(300).values[:, 0], binary(300).labels
    best = -np.inf
    for scale in range(1, 9):
        value = spread = 0.0
        for k in range(2**scale):
            here = (p > k / 2**scale) & (p <= (k + 1) / 2**scale)
            r, v = (y - p)[here], (p * (1 - p))[here]
            if here.any():
                value += (r.sum() ** 2 - (r**2).sum()) / here.sum()
                spread += 2 * (v.sum() ** 2 - (v**2).sum()) / here.sum() ** 2
        best = max(best, value / np.sqrt(spread))
    found = significance(binary(300), tests="t-cal", resamples=19)["t-cal"]
    assert found.statistic == pytest.approx(best)


@pytest.mark.parametrize("weighted", [False, True])
def test_skce_is_the_unbiased_estimator_where_rows_are_one_block(weighted):
    data = simulate(301, 4)
    probs = np.exp(data.values) / np.exp(data.values).sum(1)[:, None]
    weights = rng(5).exponential(size=301) if weighted else None
    own = Predictions.from_probs(probs, data.labels, weights=weights)
    found = significance(own, tests="skce", resamples=19)["skce"]
    whole = skce(probs, data.labels, weights, estimator="unbiased")
    assert found.statistic == pytest.approx(whole, rel=1e-6)


def test_skce_of_many_rows_is_the_mean_over_blocks(monkeypatch):
    monkeypatch.setattr(whole_rows, "_BLOCK", 100)
    data = simulate(300, 4)
    probs = np.exp(data.values) / np.exp(data.values).sum(1)[:, None]
    width = skce_width(probs)
    blocks = [
        skce(probs[at], data.labels[at], estimator="unbiased", width=width)
        for at in (slice(0, 100), slice(100, 200), slice(200, 300))
    ]
    found = significance(data, tests="skce", resamples=19)["skce"]
    assert found.statistic == pytest.approx(np.mean(blocks), rel=1e-6)


def test_skce_of_redrawn_labels_is_that_of_each_draw(monkeypatch):
    data = simulate(60, 3)
    probs = np.exp(data.values) / np.exp(data.values).sum(1)[:, None]
    how = RedrawOptions(19, 7, lambda *_: None)
    whole = WholeRows(probs, data.labels)
    (block,) = whole_rows._redrawn(whole, how, 60, 19, stream=Stream.NULL_KERNEL)
    each = [skce(probs, labels, estimator="unbiased") for labels in block[1].T]
    observed, drawn = whole_rows.skce(whole, how)
    np.testing.assert_allclose([*drawn, observed], each, rtol=1e-6, atol=1e-10)


@pytest.mark.usefixtures("no_search")
def test_what_is_printed_is_what_evaluate_prints():
    """Beyond 2,048 distinct scores p-values come from pooled cells; statistics do not."""
    data = binary(5000, temperature=1.3)
    names = ("ks", "kuiper", "spiegelhalter", "hosmer-lemeshow")
    found = significance(data, tests=names, resamples=19)
    report = calibtool.evaluate(data, names, ci="none")
    for name in names:
        assert found[name].statistic == pytest.approx(abs(report[name].value), rel=1e-12)


def test_redrawn_labels_follow_the_rows():
    probs = np.array([[0.2, 0.0, 0.8], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    labels = redrawn_labels(probs, rng(), 40_000)
    assert (labels[1] == 0).all()
    assert (labels[2] == 2).all()
    assert not (labels == 1).any()
    assert (labels[0] == 2).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.usefixtures("no_search")
def test_the_same_seed_gives_the_same_digits_and_another_does_not():
    one, same, other = (significance(binary(300), resamples=99, seed=s) for s in (3, 3, 4))
    assert one == same
    assert one != other


def tied(n, seed, kind):
    """Few distinct scores; weights whose sums are exact in any order."""
    random = rng(seed)
    if kind == "rows":
        probs = rng(0).dirichlet(np.ones(3), size=6)[random.integers(0, 6, n)]
        return Predictions.from_probs(probs, random.integers(0, 3, n))
    score, hit = random.integers(0, 9, n) / 8, random.random(n) < 0.6
    if kind == "confidence":
        return Predictions.from_confidence(score, hit)
    weights = random.integers(1, 9, n) / 8 if kind == "weights" else None
    return Predictions.from_probs(score, hit.astype(int), weights=weights)


@settings(max_examples=8)
@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 99),
    kind=st.sampled_from(["column", "weights", "confidence", "rows"]),
)
@example(n=3000, seed=0, kind="many")
def test_the_order_of_rows_matters_to_labels_redrawn_row_by_row_alone(n, seed, kind):
    data = binary(n, seed=seed) if kind == "many" else tied(n, seed, kind)
    names = [name for name in TESTS if name not in OF_ROWS]
    names += ["class-consistency"] if kind == "rows" else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "detectable", lambda *_: None)
        mixed = data.take(rng(seed).permutation(n))
        one, other = (significance(d, tests=names, resamples=39) for d in (data, mixed))
    for a, b in zip(one.results, other.results, strict=True):
        if a.name != "class-consistency":
            assert replace(a, adjusted=None) == replace(b, adjusted=None)
        else:
            assert a.statistic == pytest.approx(b.statistic)
            assert abs(a.p_value - b.p_value) < 0.5  # of 39 redraws


def test_skce_of_one_block_does_not_depend_on_the_order_of_rows():
    data = tied(200, 3, "rows")
    mixed = data.take(rng(3).permutation(200))
    one, other = (significance(d, tests="skce", resamples=19)["skce"] for d in (data, mixed))
    assert one.statistic == pytest.approx(other.statistic, rel=1e-6)


@pytest.mark.usefixtures("no_search")
def test_equal_weights_are_no_weights_and_a_row_of_none_is_not_there():
    plain = significance(binary(300), resamples=99)
    equal = significance(binary(300, weights=np.full(300, 2.5)), resamples=99)
    assert p_values(plain) == p_values(equal)
    data = binary(300, weights=np.append(rng(0).exponential(size=250), np.zeros(50)))
    names = "consistency,cox"
    found = [significance(d, tests=names, resamples=99) for d in (data, data.take(slice(0, 250)))]
    assert p_values(found[0]) == p_values(found[1])
    assert significance(data, resamples=99)["t-cal"].missing == "not for rows of different weights"
    with pytest.raises(InputError, match="all weights are zero"):
        significance(binary(3, weights=np.zeros(3)))


@pytest.mark.parametrize(
    "data",
    [
        Predictions.from_probs([0.3], [1]),
        Predictions.from_probs([1.0], [1]),
        Predictions.from_probs([0.0, 1.0], [0, 1]),
        Predictions.from_probs([0.0, 1.0, 1.0, 0.5], [1, 1, 0, 0]),
        Predictions.from_probs([0.5] * 30, [0, 1] * 15),
        Predictions.from_probs([0.5] * 30, [0, 1] * 15, weights=np.arange(30.0)),
        Predictions.from_confidence([0.9, 1.0, 0.4], [True, True, False]),
        Predictions.from_logits([[50.0, 0.0, -50.0]] * 5, [0, 0, 0, 0, 2]),
        Predictions.from_logits([[1.0, 0.0]] * 5, [0, 1, 1, 0, 1]),
        Predictions.from_probs(np.eye(4)[[0, 1, 2, 3, 0]], [0, 1, 2, 3, 1]),
    ],
)
def test_small_and_odd_data_are_tested_or_said_to_be_untestable(data):
    found = significance(data, resamples=39)
    for result in found.results:
        assert (result.p_value is None) == bool(result.missing)
        assert result.p_value is None or 0 < result.p_value <= 1
    assert found.reading


def test_a_broken_promise_refutes_the_scores():
    score, y = np.append(rng(0).random(200), 1.0), np.append(rng(1).random(200) < 0.5, 0)
    found = significance(Predictions.from_probs(score, y.astype(int)), resamples=199)
    assert found["cox"].statistic == np.inf
    assert found["cox"].p_value == 1 / 200


@pytest.mark.usefixtures("no_search")
def test_confidences_alone_are_tested_as_the_top_view_of_whole_rows():
    data = simulate(300, 2)
    probs = np.exp(data.values) / np.exp(data.values).sum(1)[:, None]
    right = probs.argmax(1) == data.labels
    found = significance(Predictions.from_confidence(probs.max(1), right), resamples=99)
    whole = significance(Predictions.from_probs(probs, data.labels), resamples=99)
    assert found.data.classes is None
    assert {result.view for result in found.results} == {"top"}
    names = set(TESTS) - OF_ROWS
    assert {n: p_values(found)[n] for n in names} == {n: p_values(whole)[n] for n in names}
    assert [result.name for result in found.results if result.name in OF_ROWS] == ["skce"]


@pytest.mark.usefixtures("no_search")
def test_weights_decide_where_some_rows_are_off():
    """Half of the rows are right, half are not; the weights say which half counts."""
    p = rng(0).random(1200)
    off = np.arange(1200) % 2 == 1
    y = (rng(1).random(1200) < np.where(off, p**3, p)).astype(int)
    uneven = rng(2).uniform(0.5, 1.5, 1200)
    for heavy, seen in ((off, True), (~off, False)):
        weights = uneven * np.where(heavy, 1, 1e-3)
        found = significance(Predictions.from_probs(p, y, weights=weights), resamples=199)
        assert found.data.weighted
        assert (found["consistency"].p_value == 1 / 200) == seen
        assert ("cox" in found.rejecting) == seen


@pytest.mark.usefixtures("no_search")
def test_one_row_has_the_p_value_that_can_be_counted():
    """At a score of 0.3, the outcome 1 is the larger gap and has probability 0.3."""
    for label, p in ((1, 0.3), (0, 1.0)):
        found = significance(Predictions.from_probs([0.3], [label]), resamples=999)
        assert found["consistency"].statistic == pytest.approx(abs(label - 0.3))
        assert found["consistency"].p_value == pytest.approx(p, abs=0.05)
        assert found["skce"].missing == "needs two rows"
        assert found.rejecting == ()


@pytest.mark.usefixtures("no_search")
def test_a_constant_score_has_the_p_value_of_the_binomial():
    """8 or more, or 0 or fewer, of 10 at a score of 0.4: two-sided by the gap."""
    data = Predictions.from_probs([0.4] * 10, [1] * 8 + [0] * 2)
    found = significance(data, resamples=3999)
    exact = sum(comb(10, k) * 0.4**k * 0.6 ** (10 - k) for k in (0, 8, 9, 10))
    for name in ("consistency", "ks", "kuiper", "spiegelhalter", "hosmer-lemeshow"):
        assert found[name].p_value == pytest.approx(exact, abs=0.006), name


def test_scores_of_0_and_1_that_hold_cannot_be_surprised():
    y = [0, 1] * 30
    found = significance(Predictions.from_probs(np.array(y, float), y), resamples=99)
    assert set(p_values(found).values()) == {1.0}
    missing = {result.missing for result in found.results if result.missing}
    assert missing <= {"no score that could be surprised", "no row that could be surprised"}
    assert found.rejecting == ()


def test_progress_is_told_stage_by_stage():
    told = []
    data = tied(300, 0, "rows")
    significance(data, resamples=300, progress=lambda *heard: told.append(heard))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    work = ["reading", "redrawing outcomes", "class-consistency", "skce", "detectable error"]
    assert stages == work
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5
    assert shares[-1] == 1


def test_the_facade_has_it():
    assert calibtool.significance is significance
    assert "significance" in calibtool.__all__


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"tests": "cpx"}, "--tests must be one or more of consistency, ks"),
        ({"tests": []}, "(got none)"),
        ({"view": "class"}, "--view must be one of auto, top, positive (got 'class')"),
        ({"resamples": 5}, "--resamples must be at least 19"),
        ({"seed": -1}, "--seed must not be negative"),
    ],
)
def test_bad_use_is_explained(how, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        significance(binary(20), **how)


def test_views_that_are_not_there_are_explained():
    with pytest.raises(UsageError, match=r"--view positive needs two classes \(got 3 classes\)"):
        significance(simulate(20, 3), view="positive")
    confidences = Predictions.from_confidence([0.5], [True])
    with pytest.raises(UsageError, match="got confidences alone"):
        significance(confidences, view="positive")
    with pytest.raises(UsageError, match="class-consistency needs whole probability rows"):
        significance(confidences, tests="class-consistency")
    with pytest.raises(InputError, match="there are no labels"):
        significance(Predictions.from_probs([0.5], None))


def test_two_columns_have_a_top_view_and_a_positive_view():
    data = simulate(200, 2)
    assert significance(data, resamples=19).view == "top"
    found = significance(data, view="positive", resamples=19)
    assert {r.view for r in found.results} == {"positive", "class"}


def test_holm_never_decreases_and_never_exceeds_1():
    assert holm([0.5, 0.01, 0.02, 0.6]) == [1.0, 0.04, 0.06, 1.0]


def findings():
    """Results of several kinds: an infinite statistic, tests that cannot be run."""
    broken = Predictions.from_probs([1.0, 0.2, 0.7, 0.9], [0, 0, 1, 1])
    many = replace(tied(60, 0, "rows"), source="a/folder/of/a/name/that/is/long/" * 3 + "rows.npz")
    weighted = tied(60, 0, "weights")
    return [significance(data, resamples=39) for data in (broken, many, weighted)]


def test_json_loses_nothing():
    for found in findings():
        text = render(found, "json", width=80, colour=False)
        read = json.loads(text)
        assert (read["format"], read["version"]) == ("calibtool-tests", 1)
        results = []
        for one in read["tests"]:
            assert one.pop("sensitive_to") == TESTS[one["name"]].sensitive
            assert one.pop("source") == TESTS[one["name"]].source
            if one["statistic"] is not None:
                one["statistic"] = float(one["statistic"])  # "inf" is a text
            results.append(Result(**one))
        again = TestResults(
            DataInfo(**read["data"]),
            read["view"],
            tuple(results),
            read["detectable_ece"],
            read["resamples"],
            read["seed"],
            read["reading"],
        )
        assert again == found
        assert read["rejecting"] == list(found.rejecting)


@pytest.mark.parametrize("width", [80, 118])
def test_the_table_is_no_wider_than_the_terminal_and_tells_what_was_left_out(width):
    for found in findings():
        text = render(found, "table", width=width, colour=False)
        assert max(map(len, text.splitlines())) <= width
        for result in found.results:
            assert result.name in text
            assert result.missing in " ".join(text.split())


@pytest.mark.parametrize("format_", ["table", "json", "csv", "markdown"])
def test_command(examples, format_):
    file = str(examples / "answers.csv")
    arguments = [file, "--tests", "ks,cox", "--resamples", "99", "--format", format_]
    outcome = CliRunner().invoke(group, ["test", *arguments])
    assert outcome.exit_code == 0, outcome.output
    if format_ == "json":
        found = json.loads(outcome.output)
        assert [one["name"] for one in found["tests"]] == ["ks", "cox"]
        assert found["format"] == "calibtool-tests"
        assert found["rejecting"] == ["ks", "cox"]
    elif format_ == "csv":
        rows = list(csv.DictReader(outcome.output.splitlines()))
        assert [row["p_value"] for row in rows] == ["0.01", "0.01"]
    else:
        assert "ks" in outcome.output
        assert "Outcomes redrawn 99 times: no p can be below 0.0100." in outcome.output
    if format_ == "table":
        assert max(map(len, outcome.output.splitlines())) <= 80


def test_command_takes_reading_options_and_writes_a_file(tmp_path):
    np.savez(tmp_path / "p.npz", score=rng(0).random(50), hit=rng(1).integers(0, 2, 50))
    out = tmp_path / "tests.json"
    arguments = [
        str(tmp_path / "p.npz"),
        "--score",
        "score",
        "--labels",
        "hit",
        "--resamples",
        "19",
    ]
    outcome = CliRunner().invoke(group, ["test", *arguments, "--format", "json", "-o", str(out)])
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(out.read_text())["view"] == "positive"
