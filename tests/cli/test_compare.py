"""calibtool compare: the command as a user runs it."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import calibtool as ct
from calibtool.analysis.comparison import compare, family

FEW = ("--resamples", "100", "--metrics", "nll,ece,accuracy,mean-confidence")


@pytest.fixture
def pair(data):
    """The same rows as given, and with logits three times as large: far overconfident."""
    np.savez("good.npz", logits=data.logits, labels=data.labels)
    np.savez("hot.npz", logits=5 * data.logits, labels=data.labels)
    return "good.npz", "hot.npz"


def test_the_table_says_which_is_better_on_what_in_80_columns(run, pair):
    result = run("compare", *pair, *FEW)
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    assert "rows matched by order" in result.out
    assert "hot is worse in nll and ece than good; no difference is shown in accuracy." in (
        " ".join(result.out.split())
    )
    # what has no better is told apart by *, and no more
    (line,) = [line for line in result.out.splitlines() if line.startswith(" mean-confidence")]
    assert line.endswith("*")


def test_files_have_the_names_that_are_given(run, refused, pair):
    words = ("compare", *pair, *FEW)
    found = json.loads(run(*words, "--name", "MLP", "--name", "MLP + TS", "--format", "json").out)
    assert (found["reference"], found["systems"]) == ("MLP", ["MLP", "MLP + TS"])
    assert "MLP + TS is worse" in run(*words, "--name", "MLP", "--name", "MLP + TS").out
    for names in (["MLP"], ["MLP", "MLP"]):
        given = [word for name in names for word in ("--name", name)]
        refused(*words, *given, says=("--name must be given once per file", "2 of them"))


def test_numbers_are_those_of_evaluate_and_of_the_library(run, pair):
    found = json.loads(run("compare", *pair, *FEW, "--format", "json").out)
    assert (found["format"], found["version"]) == ("calibtool-comparison", 2)
    assert found["reference"] == "good"
    for k, path in enumerate(pair):
        alone = ct.evaluate(ct.load(path), ["nll", "ece"], resamples=100)
        for line in found["metrics"]:
            if line["metric"] in ("nll", "ece"):
                one = line["systems"][k]
                ends = alone[line["metric"]]
                assert (one["value"], one["low"]) == pytest.approx((ends.value, ends.low))
    again = compare([ct.load(path) for path in pair], ["nll"], names=("good", "hot"), resamples=100)
    (line,) = [line for line in found["metrics"] if line["metric"] == "nll"]
    change = line["systems"][1]["change"]
    assert change["value"] == pytest.approx(again.lines[0].changes[1].estimate.value)
    assert change["verdict"] == "worse"
    assert line["best"] == ["good"]
    assert [line[key] for key in ("better", "ideal", "least", "most")] == ["lower", 0, 0, "inf"]
    both = [line["best"] for line in found["metrics"] if line["metric"] == "accuracy"]
    assert both == [["good", "hot"]]


def test_an_interval_and_its_p_value_agree(run, data):
    rng = np.random.default_rng(1)
    np.savez("a.npz", logits=data.logits, labels=data.labels)
    for seed in range(3):
        other = data.logits + rng.normal(size=data.logits.shape) * 0.4
        np.savez(f"b{seed}.npz", logits=other, labels=data.labels)
    metrics = ("--metrics", "nll,brier,ece,classwise-ece,ks,accuracy,auroc-correct,sharpness")
    files = ("a.npz", "b0.npz", "b1.npz", "b2.npz")
    found = json.loads(run("compare", *files, *metrics, "--format", "json").out)
    assert found["tests"] == 24
    for line in found["metrics"]:
        for system in line["systems"][1:]:
            change = system["change"]
            outside = change["low"] > 0 or change["high"] < 0
            assert outside == (change["p_value"] < 0.05), (line["metric"], change)
            assert change["adjusted"] >= change["p_value"]
            assert bool(change["verdict"]) == (change["adjusted"] < 0.05)


def test_the_reference_is_what_is_subtracted(run, pair):
    first = json.loads(run("compare", *pair, *FEW, "--format", "json").out)
    other = json.loads(
        run("compare", *pair, *FEW, "--format", "json", "--reference", "hot.npz").out
    )
    for a, b in zip(first["metrics"], other["metrics"], strict=True):
        change = [a["systems"][1]["change"], b["systems"][0]["change"]]
        assert change[0]["value"] == pytest.approx(-change[1]["value"])
        assert b["systems"][1]["change"] is None


def test_rows_that_do_not_match_are_refused_by_row_and_label(refused, data):
    labels = data.labels.copy()
    labels[17] = (labels[17] + 1) % 3
    np.savez("a.npz", logits=data.logits, labels=data.labels)
    np.savez("b.npz", logits=data.logits, labels=labels)
    said = refused("compare", "a.npz", "b.npz", *FEW, says=("b.npz and a.npz", "row 17"))
    assert f"{labels[17]} and {data.labels[17]}" in said
    np.savez("c.npz", logits=data.logits[:50], labels=data.labels[:50])
    refused("compare", "a.npz", "c.npz", *FEW, says=("50 and 240 rows",))


def test_rows_are_matched_by_an_id_in_any_order(run, data):
    order = np.random.default_rng(3).permutation(240)
    ids = np.arange(240)
    np.savez("a.npz", logits=data.logits, labels=data.labels, image=ids)
    np.savez("b.npz", logits=2 * data.logits[order], labels=data.labels[order], image=ids[order])
    np.savez("c.npz", logits=2 * data.logits, labels=data.labels, image=ids)
    by_id = run("compare", "a.npz", "b.npz", "--id", "image", *FEW, "--format", "json")
    plain = run("compare", "a.npz", "c.npz", *FEW, "--format", "json")
    a, b = json.loads(by_id.out), json.loads(plain.out)
    assert a["matched_by"] == "id 'image'"
    for x, y in zip(a["metrics"], b["metrics"], strict=True):
        change = [one["systems"][1]["change"] for one in (x, y)]
        assert change[0]["low"] == pytest.approx(change[1]["low"], abs=1e-9)


def test_latex_is_bold_where_nothing_is_better_by_more_than_chance(run, pair, data):
    text = run("compare", *pair, *FEW, "--format", "latex").out
    good, hot = [line for line in text.splitlines() if line.startswith(("good", "hot"))]
    assert "\\toprule" in text
    assert "\\bottomrule" in text
    assert good.count("\\textbf") == 3  # nll, ece and accuracy; no confidence is better
    assert hot.count("\\textbf") == 1  # the accuracy, which scaling does not change
    assert hot.count("\\dagger") == 3
    np.savez("same_1.npz", logits=data.logits, labels=data.labels)
    np.savez("same_2.npz", logits=data.logits, labels=data.labels)
    text = run("compare", "same_1.npz", "same_2.npz", *FEW, "--format", "latex").out
    assert text.count("\\textbf") == 6  # neither is worse than the other
    assert "same\\_1 &" in text


def test_csv_has_a_line_a_metric_and_file(run, pair):
    text = run(
        "compare", *pair, "hot.npz", "--metrics", "nll,ece", "--resamples", "50", "--format", "csv"
    )
    assert text.code == 0
    lines = list(csv.DictReader(io.StringIO(text.out)))
    assert len(lines) == 6
    assert {line["metric"] for line in lines} == {"nll", "ece"}
    assert [line["minus"] for line in lines[:2]] == ["", lines[1]["minus"]]


def test_three_files_fit_80_columns_and_markdown_holds_all(run, pair, data):
    np.savez("a_rather_long_name_of_a_model_file.npz", logits=2 * data.logits, labels=data.labels)
    files = (*pair, "a_rather_long_name_of_a_model_file.npz")
    table = run("compare", *files, *FEW)
    assert max(map(len, table.out.splitlines())) <= 80
    assert table.out.count("is worse in nll") == 2
    text = run("compare", *files, *FEW, "--format", "markdown").out
    assert text.count("a\\_rather") + text.count("a_rather_long_name_of_a_model_file") >= 4


def test_without_intervals_nothing_is_claimed(run, pair):
    result = run("compare", *pair, *FEW, "--ci", "none")
    assert result.code == 0
    assert "worse" not in result.out
    assert "*" not in result.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("good.npz",), "compare needs at least two files"),
        (("good.npz", "nowhere.npz"), "nowhere.npz: no such file"),
        (("good.npz", "good.npz", "--reference", "x.npz"), "--reference must be one of"),
        (("good.npz", "good.npz", "--metrics", "eec"), "did you mean"),
        (("good.npz", "good.npz", "--metrics", ""), "metric"),
        (("good.npz", "good.npz", "--id", "image"), "image"),
    ],
)
def test_mistakes_are_named(refused, good, arguments, says):
    refused("compare", *arguments, says=(says,))


def test_every_metric_belongs_to_a_family():
    from calibtool.analysis.comparison import FAMILIES
    from calibtool.metrics.registry import METRICS

    assert {family(name) for name in METRICS} == set(FAMILIES)
    assert family("classwise-ece(bins=10)") == "calibration"
