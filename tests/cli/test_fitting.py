"""fit-NAME, select and apply with what people get wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from simulated import simulate

from calibtool.calibrators.registry import METHODS
from calibtool.data.rows import to_probs


@pytest.fixture
def ok(folder):
    p = simulate(300, 3)
    group = np.array(["a", "b"])[np.arange(300) % 2]
    np.savez("ok.npz", logits=p.values, labels=p.labels, group=group, part=np.arange(300) / 7)
    return "ok.npz"


@pytest.fixture
def two(folder):
    p = simulate(300, 2)
    np.savez("two.npz", probs=to_probs(p).values[:, 1], labels=p.labels)
    return "two.npz"


@pytest.mark.parametrize(
    ("command", "options", "says"),
    [
        ("fit-histogram", "--bins 0", "between 1 and 10,000, not 0"),
        ("fit-histogram", "--bins 100000000", "between 1 and 10,000"),
        ("fit-scaling-binning", "--bins -3", "between 1 and 10,000"),
        ("fit-spline", "--knots 1", "between 2 and 100, not 1"),
        ("fit-spline", "--smoothness inf", "between 1e-9 and 1e9"),
        ("fit-order-preserving", "--smoothness nan", "between 1e-9 and 1e9"),
        ("fit-venn-abers", "--folds 1", "--folds must be 0, or at least 2"),
        ("fit-venn-abers", "--folds 1000", "too few for 1000 folds; at least 2000 are needed"),
        ("fit-structured-vector", "--strength -1", "must not be negative"),
        ("fit-matrix", "--off-diagonal nan", "must not be negative"),
        ("fit-dirichlet", "--bias inf", "must not be negative"),
        ("fit-platt", "--multiclass nonsense", "one-vs-rest"),
        ("fit-platt", "--by nothere", "no column 'nothere'; the file has logits"),
        ("fit-platt", "--by logits", "has shape (300, 3)"),
        ("fit-platt", "--by part", "part = "),
        ("fit-platt", "--by labels", "labels = '0', 97 rows"),
        ("fit-platt", "--target-prior 0.5,0.5", "2 shares for 3 classes"),
        ("fit-platt", "--target-prior a,b,c", "give one share per class"),
        ("fit-platt", "--target-prior 0,0.5,0.5", "must be positive and sum to 1"),
        ("fit-platt", "--test two.npz", "two.npz: has 2 classes, the calibrator was fitted for 3"),
        ("fit-quadratic", "--smoothing", "No such option"),
        ("fit-bbq", "--colour red", "No such option"),
        ("select", "--methods foo", "there is no calibrator 'foo'"),
        ("select", "--methods plat", "did you mean platt"),
        ("select", "--methods ,", "there is no calibrator ''"),
        ("select", "--rank-by ece", "nll"),
        ("select", "--resamples 1", "at least 20"),
        ("select", "--figure x.bmp", "cannot draw .bmp"),
        ("select", "--figure no/x.png", "no/x.png: cannot be written"),
        ("select", "-o no/best.json", "no/best.json: cannot be written"),
        ("select", "--test two.npz", "two.npz: has 2 classes"),
        ("select", "--subsample 0", "at least 1 (got 0)"),
        ("select", "--subsample many", "--subsample"),
    ],
)
def test_what_cannot_be_is_refused_in_words(command, options, says, refused, ok, two):
    refused(command, ok, *options.split(), says=(says,))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_fits_applies_and_evaluates(method, run, ok):
    result = run(f"fit-{method}", ok, "-o", "cal.json", "--ci", "none")
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    assert run("apply", "cal.json", ok, "-o", "after.npz").code == 0
    after = np.load("after.npz")["probs"]
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-6)
    direct = run("evaluate", ok, "--calibrator", "cal.json", "--ci", "none", "--format", "json").out
    applied = run("evaluate", "after.npz", "--ci", "none", "--format", "json").out
    for line, other_line in zip(
        json.loads(direct)["metrics"], json.loads(applied)["metrics"], strict=True
    ):
        a, b = line["after"]["value"], other_line["value"]
        assert a == b or float(a) == pytest.approx(float(b), abs=1e-6), line["name"]


def test_a_failed_fit_leaves_the_calibrator_that_was_there(run, folder):
    np.savez("one.npz", logits=np.eye(3)[np.arange(30) % 3], labels=np.zeros(30, int))
    (folder / "cal.json").write_text("precious")
    assert run("fit-vector", "one.npz", "-o", "cal.json").code == 2
    assert (folder / "cal.json").read_text() == "precious"


def test_by_group_travels_through_every_command(run, refused, ok, two):
    assert run("fit-platt", ok, "--by", "group", "-o", "cal.json", "--ci", "none").code == 0
    assert run("apply", "cal.json", ok, "-o", "after.npz").code == 0
    for command in (
        ("evaluate", ok, "--calibrator", "cal.json", "--ci", "none"),
        ("plot", "reliability", ok, "--calibrator", "cal.json", "-o", "a.png"),
        ("check", ok, "--calibrator", "cal.json", "--require", "ece <= 0.5"),
    ):
        assert run(*command).code == 0, command
    p = simulate(20, 3)
    np.savez("nogroup.npz", logits=p.values, labels=p.labels)
    refused("apply", "cal.json", "nogroup.npz", "-o", "x.npz", says=("no column 'group'",))
    np.savez("new.npz", logits=p.values, labels=p.labels, group=np.full(20, "c"))
    refused(
        "evaluate",
        "new.npz",
        "--calibrator",
        "cal.json",
        says=("no calibrator was fitted for 'c'",),
    )


def test_rows_without_a_group_are_an_error(refused, folder):
    p = simulate(100, 3)
    part = np.where(np.arange(100) == 7, np.nan, 1.0)
    np.savez("nan.npz", logits=p.values, labels=p.labels, part=part)
    refused("fit-platt", "nan.npz", "--by", "part", says=("1 rows have no value", "row 7"))


def test_a_parabola_of_separated_rows_is_an_error_that_names_what_would_do(refused, run, folder):
    scores = np.concatenate([np.linspace(0.1, 0.4, 60), np.linspace(0.6, 0.9, 60)])
    np.savez("apart.npz", probs=scores, labels=np.arange(120) >= 60)
    says = ("apart.npz", "separated perfectly", "use platt with --smoothing")
    refused("fit-quadratic", "apart.npz", says=says)
    assert run("fit-platt", "apart.npz", "--smoothing", "--ci", "none").code == 0
    np.savez("absent.npz", probs=scores, labels=np.zeros(120, int))
    refused("fit-quadratic", "absent.npz", says=("no positives among the 120 rows",))


def test_intervals_are_written_on_request(run, refused, ok, two):
    run("fit-venn-abers", two, "-o", "va.json", "--ci", "none")
    assert run("apply", "va.json", two, "-o", "after.npz", "--interval").code == 0
    after = np.load("after.npz")
    assert (after["low"] <= after["probs"]).all()
    assert (after["probs"] <= after["high"]).all()
    refused(
        "apply",
        "va.json",
        "after.npz",
        "-o",
        "x.npz",
        "--interval",
        says=("already has a column 'high'",),
    )
    run("fit-platt", ok, "-o", "platt.json", "--ci", "none")
    refused("apply", "platt.json", ok, "-o", "x.npz", "--interval", says=("gives no intervals",))


def test_logits_are_not_written_where_there_are_none(run, refused, ok):
    run("fit-isotonic", ok, "-o", "cal.json", "--ci", "none")
    refused(
        "apply", "cal.json", ok, "-o", "x.npz", "--write", "logits", says=("gives probabilities",)
    )


def test_rows_of_zeros_are_counted(run, folder):
    p = to_probs(simulate(400, 3))
    np.savez("p.npz", probs=p.values, labels=p.labels)
    run("fit-isotonic", "p.npz", "-o", "cal.json", "--ci", "none")
    # no class is as probable as any positive of the fit
    run("fit-histogram", "p.npz", "--bins", "2", "-o", "two.json", "--ci", "none")
    document = json.loads((folder / "two.json").read_text())
    for curve in document["parameters"]["curves"]:
        curve["values"][0] = 0.0
    (folder / "two.json").write_text(json.dumps(document))
    np.savez("flat.npz", probs=np.full((5, 3), 1 / 3))
    result = run("apply", "two.json", "flat.npz", "-o", "after.npz")
    assert "5 rows had a probability of 0 in every class" in result.err
    expected = np.bincount(p.labels) / p.rows
    np.testing.assert_allclose(np.load("after.npz")["probs"][0], expected)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("map", "teleport"),
        ("map", 3),
        ("method", "nonsense"),
        ("classes", 4),
        ("classes", "3"),
        ("version", 4),
        ("parameters/multiclass", "all"),
        ("parameters/curve", "spiral"),
        ("parameters/floor", 0),
        ("parameters/floor", "x"),
        ("parameters/prior", [1, 2]),
        ("parameters/curves", []),
        ("parameters/curves", {}),
        ("parameters/curves/0/x", [3, 2, 1]),
        ("parameters/curves/0/y", [1.5] * 3),
        ("parameters/curves/0/y", "many"),
        ("parameters/curves/0/x", [[[[1]]]]),
        ("parameters", []),
        ("fitted", 7),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(path, value, run, refused, ok, folder):
    run("fit-isotonic", ok, "-o", "cal.json", "--ci", "none")
    document = json.loads((folder / "cal.json").read_text())
    *way, last = path.split("/")
    inner = document
    for key in way:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[int(last) if isinstance(inner, list) else last] = value
    (folder / "bad.json").write_text(json.dumps(document))
    refused("apply", "bad.json", ok, "-o", "x.npz", says=("bad.json",))


def test_select_writes_what_it_chose_and_draws_it(run, ok, folder):
    methods = "temperature,vector,isotonic"
    result = run("select", ok, "--methods", methods, "-o", "best.json", "--figure", "f.png")
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    chosen = json.loads((folder / "best.json").read_text())["method"]
    assert f"Chosen: {chosen}" in result.out
    assert (folder / "f.png").read_bytes().startswith(b"\x89PNG")
    result_json = json.loads(run("select", ok, "--methods", methods, "--format", "json").out)
    assert result_json["chosen"] == chosen


def test_select_says_that_it_looked_at_a_subsample(run, ok, folder):
    result = run("select", ok, "--methods", "temperature", "--subsample", "100", "-o", "best.json")
    assert "5 folds of 100 of 300 rows, drawn by seed 0" in " ".join(result.out.split())
    assert "fitted to 100 of 300 rows; calibtool fit-temperature fits it to all" in result.err
    assert json.loads((folder / "best.json").read_text())["fitted"]["rows"] == 100


def test_select_of_nothing_but_failures_says_why(refused, folder):
    np.savez("one.npz", logits=simulate(60, 3).values, labels=np.zeros(60, int))
    refused(
        "select",
        "one.npz",
        "--methods",
        "vector",
        says=("no calibrator could be fitted", "class 1"),
    )


@pytest.mark.parametrize("method", ["temperature", "vector", "bias-corrected"])
def test_a_long_file_is_fitted_without_being_loaded(method, run, ok, folder, monkeypatch):
    """And the report is on the rows of the fit, and says so."""
    run(f"fit-{method}", ok, "-o", "memory.json", "--ci", "none")
    monkeypatch.setattr("calibtool.cli.fit.MAX_ROWS", 100)
    monkeypatch.setattr("calibtool.data.files.source.Source.load", None)
    result = run(f"fit-{method}", ok, "-o", "passes.json", "--ci", "none")
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    assert "reported on the rows it was fitted on" in result.out
    assert "passes over the file" in result.err
    in_memory, by_passes = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("memory", "passes")
    )
    for name, value in in_memory["parameters"].items():
        if name != "look":
            np.testing.assert_allclose(by_passes["parameters"][name], value, rtol=0, atol=1e-8)
    fitted = in_memory["fitted"]
    assert by_passes["fitted"]["fingerprint"] == fitted["fingerprint"]
    json_result = run(f"fit-{method}", ok, "--ci", "none", "--format", "json")
    assert "reported on the rows it was fitted on" in json_result.err
    after = json.loads(json_result.out)["metrics"][0]["after"]["value"]
    assert after == pytest.approx(fitted["nll_after"], abs=1e-9)
    tested = run(f"fit-{method}", ok, "--test", ok, "--ci", "none")
    assert "rows it was fitted on" not in tested.out


def test_a_long_file_is_loaded_where_a_fit_needs_it(run, ok, monkeypatch):
    monkeypatch.setattr("calibtool.cli.fit.MAX_ROWS", 100)
    for options in ("fit-platt", "fit-temperature --by group", "fit-temperature --objective ece"):
        command, *more = options.split()
        result = run(command, ok, *more, "--ci", "none")
        assert result.code == 0
        assert "cross-fitted in 5 folds" in " ".join(result.out.split())


def test_shares_are_those_of_the_classes_of_every_file(refused, ok, two, folder):
    fit = ("fit-platt", two, "-o", "cal.json", "--ci", "none")
    refused(*fit, "--target-prior", "0.5,0.5", "--test", ok, says=(f"{ok}: ", "3 classes"))


def test_other_class_shares_are_kept_and_reported_for(run, two, folder):
    result = run(
        "fit-platt", two, "--target-prior", "0.9,0.1", "-o", "cal.json", "--format", "json"
    )
    assert json.loads(result.out)["data"]["weighted"]
    document = json.loads((folder / "cal.json").read_text())
    assert document["map"] == "shifted"
    assert document["parameters"]["target"] == [0.9, 0.1]


def test_a_fit_that_makes_a_proper_score_worse_is_warned_of(run, tmp_path):
    p = simulate(300, 10, scale=1.0)  # calibrated: fitting 20 numbers only adds noise
    np.savez(tmp_path / "val.npz", logits=p.values, labels=p.labels)
    for form in ("table", "json"):
        harmed = run("fit-vector", tmp_path / "val.npz", "--format", form)
        warning = " ".join(harmed.err.split())
        assert harmed.code == 0
        assert "Warning: vector scaling (20 parameters) makes" in warning
        assert "NLL worse: 1.58" in warning
    assert "Warning" not in run("fit-temperature", tmp_path / "val.npz").err


def test_rows_of_several_predictions_fewer_than_folds(refused, folder):
    np.savez("two.npz", probs=np.eye(7)[[0, 3]], votes=np.ones((2, 7), int))
    refused("select", "two.npz", "--soft-labels", "votes", says=("2 rows are too few for 5 folds",))


def test_a_subsample_knows_which_predictions_are_of_one_row(run, folder):
    rng = np.random.default_rng(0)
    votes = rng.integers(1, 5, (60, 3))
    np.savez("votes.npz", probs=rng.dirichlet(np.ones(3), 60), votes=votes)
    words = ("select", "votes.npz", "--soft-labels", "votes", "--methods", "temperature")
    assert run(*words, "--subsample", "90", "--resamples", "20").code == 0
