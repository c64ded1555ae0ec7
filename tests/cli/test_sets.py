"""sets, and apply, evaluate, check and plot with a file of sets."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from simulated import simulate

import calibtool as ct
from calibtool.data.rows import to_probs

NAMES = ("cat", 'a "dog"', "owl, red", "=cow")
FEW = ("--resamples", "50")


def write(name, rows, **more):
    more = {"classes": np.array(rows.class_names)} | more if rows.class_names else more
    np.savez(name, logits=rows.values, labels=rows.labels, **more)


@pytest.fixture
def val(folder):
    write("val.npz", replace(simulate(300, 4), class_names=NAMES))
    return "val.npz"


@pytest.fixture
def new(folder):
    place = np.array(["north", "south"])[np.arange(400) % 2]
    write("new.npz", replace(simulate(400, 4, seed=1), class_names=NAMES), place=place)
    return "new.npz"


@pytest.fixture
def rule(run, val):
    assert run("sets", val, "--coverage", 0.8, "-o", "sets.json").code == 0
    return "sets.json"


# ------------------------------------------------------------------ sets


def test_the_promise_is_told_in_words(run, val):
    result = run("sets", val, "--coverage", 0.8)
    text = " ".join(result.out.split())
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    assert "at least 80 %, if new rows are drawn as those that set the threshold" in text
    low, high = ct.fit_sets("val.npz", 0.8).promises[0].observed(1000)
    assert f"between {100 * low:.1f} % and {100 * high:.1f} % (beta-binomial)" in text
    assert "Not promised: 80 % within a class or a group, or for a single row" in text
    assert "Nothing was written" in text
    each = " ".join(run("sets", val, "--coverage", 0.8, "--per-class").out.split())
    assert "the set of a new row of a class" in each
    assert "within a class or a group" not in each
    assert "so that RAPS is APS here" in " ".join(run("sets", val, "--method", "raps").out.split())


@pytest.mark.parametrize(
    "words",
    [
        ("--method", "lac"),
        ("--method", "aps", "--deterministic"),
        ("--method", "raps", "--randomized", "--penalty", "0.2", "--k-reg", "1", "--seed", "7"),
        ("--per-class",),
    ],
)
def test_every_format_and_the_file_say_the_same(words, run, val):
    document = json.loads(run("sets", val, "-o", "s.json", *words, "--format", "json").out)
    promises = document.pop("promise")
    assert document == json.loads(Path("s.json").read_text()) | {"calibtool": ct.__version__}
    rows = list(csv.DictReader(run("sets", val, *words, "--format", "csv").out.splitlines()))
    assert [row["class"].lstrip("'") for row in rows] == [row["class"] for row in promises]
    assert [float(row["threshold"]) for row in rows] == document["quantiles"]
    assert "| rows | threshold |" in run("sets", val, *words, "--format", "markdown").out


def test_a_calibrator_is_kept_and_not_one_of_the_same_rows(run, refused, val, new):
    assert run("fit-temperature", new, "-o", "cal.json", "--ci", "none").code == 0
    assert run("sets", val, "--calibrator", "cal.json", "-o", "s.json").code == 0
    sets = ct.load_sets("s.json")
    plain = ct.fit_sets(ct.load_calibrator("cal.json")(ct.load(val)))
    assert sets.quantiles == plain.quantiles
    assert run("fit-temperature", val, "-o", "same.json", "--ci", "none").code == 0
    refused("sets", val, "--calibrator", "same.json", says=("fitted on these rows", "--cross-fit"))
    result = run("sets", val, "--calibrator", "same.json", "--cross-fit")
    assert "the promise holds as far as these agree" in " ".join(result.out.split())


def test_a_calibrator_by_group_brings_its_column_along(run, new):
    write(
        "other.npz",
        replace(simulate(400, 4, seed=2), class_names=NAMES),
        place=np.array(["north", "south"])[np.arange(400) // 200],
    )
    assert run("fit-platt", "other.npz", "--by", "place", "-o", "c.json", "--ci", "none").code == 0
    assert run("sets", new, "--calibrator", "c.json", "-o", "s.json").code == 0
    write("third.npz", simulate(400, 4, seed=3), place=np.array(["north", "south"] * 200))
    for words in (
        ("apply", "s.json", "third.npz", "-o", "o.npz"),
        ("evaluate", "third.npz", "--sets", "s.json", *FEW),
        ("check", "third.npz", "--sets", "s.json", "--require", "set-coverage >= 0.5", *FEW),
        ("plot", "sets", "third.npz", "--sets", "s.json", "-o", "o.svg", *FEW),
    ):
        assert run(*words).code == 0, words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--coverage", "0"), "--coverage must lie between 0 and 1, not 0"),
        (("--coverage", "90"), "did you mean 0.9?"),
        (("--coverage", "nan"), "--coverage must lie between 0 and 1"),
        (("--coverage", "0.999"), "300 rows cannot promise a coverage of 99.9 %: at least 999"),
        (("--coverage", "0.99", "--per-class"), "at least 99 rows of each class are needed"),
        (("--method", "top"), "'top' is not one of 'lac', 'aps', 'raps'"),
        (("--method", "lac", "--randomized"), "--randomized has no meaning for lac"),
        (("--method", "raps", "--penalty", "-1"), "--penalty must lie between 0 and"),
        (("--cross-fit",), "--cross-fit is for a calibrator"),
        (("--calibrator", "none.json"), "none.json"),
        (("-o", "no/s.json"), "no/s.json: cannot be written"),
        (("-o", "val.npz"), "would replace"),
    ],
)
def test_what_cannot_be_promised_leaves_no_file(words, says, refused, val):
    output = () if "-o" in words else ("-o", "s.json")
    refused("sets", val, *words, *output, says=(says,))


def test_rows_that_cannot_set_a_threshold(refused, val):
    rows = ct.load(val)
    np.savez("bare.npz", logits=rows.values)
    np.savez("conf.npz", confidence=[0.9] * 20, correct=[1] * 20)
    write("heavy.npz", rows, weights=np.arange(300.0))
    for file, says in (
        ("bare.npz", "labels"),
        ("conf.npz", "prediction sets need whole rows"),
        ("heavy.npz", "its rows are weighted"),
    ):
        refused("sets", file, "-o", "s.json", says=(file, says))


# ------------------------------------------------------------------ apply


def read(name):
    """The sets in a file, as lists of names."""
    if name.endswith(".npz"):
        held = np.load(name)
        names = held["classes"] if "classes" in held else np.arange(held["set"].shape[1])
        return [names[row].tolist() for row in held["set"]]
    if name.endswith(".csv"):
        with Path(name).open(newline="") as file:
            return [json.loads(row["set"]) for row in csv.DictReader(file)]
    table = pq.read_table(name) if name.endswith(".parquet") else feather.read_table(name)
    return table["set"].to_pylist()


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "feather", "arrow"])
def test_apply_writes_a_column_that_reads_back(suffix, run, rule, new):
    result = run("apply", rule, new, "-o", f"o.{suffix}")
    assert result.code == 0
    assert "Wrote 400 rows, sets for 80 % by APS" in result.err
    inside = ct.load_sets(rule).inside(ct.load(new))
    wanted = [[NAMES[k] for k in np.flatnonzero(row)] for row in inside]
    assert read(f"o.{suffix}") == wanted
    assert any(not members for members in wanted)  # an empty set is one, too
    again = ct.load(f"o.{suffix}", extra=["place"])  # all that was there is still read
    np.testing.assert_array_equal(again.values, ct.load(new).values)
    np.testing.assert_array_equal(again.labels, ct.load(new).labels)
    assert again.extra["place"].astype(str).tolist() == ["north", "south"] * 200


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_apply_writes_numbers_where_there_are_no_names(suffix, run, rule):
    rows = to_probs(simulate(50, 4, seed=2))
    np.savez("plain.npz", probs=rows.values)  # labels are not needed
    assert run("apply", rule, "plain.npz", "-o", f"o.{suffix}").code == 0
    inside = ct.load_sets(rule).inside(rows)
    assert read(f"o.{suffix}") == [np.flatnonzero(row).tolist() for row in inside]


def test_sets_that_are_all_empty_keep_their_type(run):
    rows = simulate(60, 3)
    sets = ct.fit_sets(rows, 0.8, "lac")
    replace(sets, quantiles=np.zeros(1)).save("none.json")
    np.savez("new.npz", logits=simulate(20, 3, seed=1).values)
    assert run("apply", "none.json", "new.npz", "-o", "o.parquet").code == 0
    assert str(pq.read_schema("o.parquet").field("set").type) == "list<element: int64>"
    assert read("o.parquet") == [[]] * 20


def test_apply_refuses(run, refused, rule, new):
    assert run("apply", rule, new, "-o", "o.npz").code == 0
    refused("apply", rule, "o.npz", "-o", "p.npz", says=("already has a column 'set'",))
    refused("apply", rule, new, "-o", "p.npz", "--interval", says=("is no calibrator",))
    refused("export", rule, "--to", "python", "-o", "s.py", says=("sets.json", "exported"))
    np.savez("three.npz", logits=simulate(50, 3).values)
    refused("apply", rule, "three.npz", "-o", "p.npz", says=("has 3 classes, the sets are of 4",))
    write("turned.npz", replace(simulate(50, 4), class_names=NAMES[::-1]))
    refused("apply", rule, "turned.npz", "-o", "p.npz", says=("same order",))
    np.savez("conf.npz", confidence=[0.9] * 20, correct=[1] * 20)
    refused("apply", rule, "conf.npz", "-o", "p.npz", says=("need whole rows",))


# ------------------------------------------------------------------ evaluate


def test_evaluate_agrees_with_python_in_every_format(run, rule, new):
    words = ("evaluate", new, "--sets", rule, "--by", "place", *FEW)
    report = ct.evaluate_sets(new, ct.load_sets(rule), "place", resamples=50)
    document = json.loads(run(*words, "--format", "json").out)
    assert document == report.to_dict()
    assert (
        document["coverage"]["low"] < document["coverage"]["value"] < document["coverage"]["high"]
    )
    assert {part["name"] for part in document["classes"]} == {*NAMES}
    rows = list(csv.DictReader(run(*words, "--format", "csv").out.splitlines()))
    assert len(rows) == 1 + len(report.classes) + len(report.sizes) + len(report.groups)
    assert float(rows[0]["coverage"]) == report.whole.coverage.value
    result = run(*words)
    assert max(map(len, result.out.splitlines())) <= 80
    for text in ("By class", "By size", "By place", "north", "Covered least: class"):
        assert text in result.out
    assert "(Clopper-Pearson)" in result.out
    assert "By class" in run(*words, "--format", "markdown").out


def test_evaluate_warns_where_rows_are_drawn_otherwise(run, rule, new):
    rows = ct.load(new)
    write("shifted.npz", replace(rows, labels=(rows.labels + 1) % 4))
    text = " ".join(run("evaluate", "shifted.npz", "--sets", rule, *FEW).out.split())
    assert "Warning: If the promise of 80 % holds here" in text
    assert "This lies below (p <0.001), which is rare if these rows are drawn as" in text
    assert "Warning" not in run("evaluate", new, "--sets", rule, *FEW).out


@pytest.mark.parametrize(
    "words",
    [
        ("--metrics", "ece"),
        ("--calibrator", "cal.json"),
        ("--plot",),
        ("--ci", "none"),
        ("--signatures",),
        ("--conventions",),
        ("--cluster", "place"),
    ],
)
def test_options_without_effect_on_sets_are_refused(words, refused, rule, new, calibrator):
    says = f"--sets cannot be combined with {words[0]}"
    refused("evaluate", new, "--sets", rule, *words, says=(says,))


def test_evaluate_refuses(run, refused, rule, val, new):
    refused("evaluate", val, "--sets", rule, says=("set by these very rows",))
    refused("evaluate", new, "--sets", rule, "--by", "zzz", says=("zzz",))
    refused("evaluate", new, "--sets", new, says=("not a file of prediction sets",))
    Path("cut.json").write_text(Path(rule).read_text()[:200])
    refused("evaluate", new, "--sets", "cut.json", says=("cut.json", "may be truncated"))
    assert run("cells", new, "-o", "new.cells").code == 0
    refused("evaluate", "new.cells", "--sets", rule, says=("new.cells",))


# ------------------------------------------------------------------ check


@pytest.mark.parametrize(
    ("requirement", "code"),
    [
        ("set-coverage >= 0.7", 0),
        ("set-coverage >= 0.8", 0),  # beyond it, but within noise
        ("set-coverage >= 0.97", 1),
        ("set-size <= 3", 0),
        ("set-size <= 0.5", 1),
        ("set-coverage >= 50 % by class", 0),
        ("worst(set-coverage by place) >= 0.6", 0),
        ("set-coverage >= 0.99 by place", 1),
        ("worst(set-size by class) <= 0.5", 1),
    ],
)
def test_verdicts_are_the_exit_code(requirement, code, run, rule, new):
    result = run("check", new, "--sets", rule, "--require", requirement, *FEW)
    assert result.code == code, result.out
    document = json.loads(
        run("check", new, "--sets", rule, "--require", requirement, *FEW, "--format", "json").out
    )
    (verdict,) = document["requirements"]
    assert verdict["verdict"] == ("pass", "fail")[code]
    if not verdict["by"]:
        report = ct.evaluate_sets(new, ct.load_sets(rule), resamples=50).to_dict()
        name = "coverage" if "coverage" in requirement else "size"
        for key in ("value", "low", "high"):
            assert verdict["measured"][key] == report[name][key]


def test_few_rows_do_not_decide(run, rule):
    write("few.npz", simulate(12, 4, seed=1))
    words = ("check", "few.npz", "--sets", rule, *FEW, "--require")
    result = run(*words, "set-coverage >= 0.8")
    assert result.code == 3
    assert "too few rows" in " ".join(result.out.split())
    assert run(*words, "set-coverage >= 0.01", "--mode", "prove").code == 0
    assert run(*words, "set-coverage >= 0.99", "--mode", "point", "--ci", "none").code == 1


def test_sets_and_metrics_are_checked_together(run, rule, new):
    Path("calibtool.toml").write_text(
        f'[check]\nfile = "{new}"\nsets = "{rule}"\nresamples = 50\n'
        'require = ["set-coverage >= 0.7", "accuracy >= 0.3", "set-size <= 0.5 by place"]\n'
    )
    result = run("check")
    assert result.code == 1
    assert "Failed: 1 of 3 requirements not met." in result.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--require", "set-coverage >= 1.2"), "nothing can meet this"),
        (("--require", "set-coverage >= 88"), "did you mean 88 %?"),
        (("--require", "set-size <= -1"), "nothing can meet this"),
        (("--require", "delta(set-size) <= 1"), "there is no delta of set-size"),
        (("--require", "ece <= 0.5"), "no requirement is about prediction sets"),
        (("--require", "set-size <= 2", "--calibrator", "cal.json"), "hold the calibrator"),
        (("--require", "set-size <= 2", "--cluster", "place"), "assumes independent rows"),
    ],
)
def test_check_refuses(words, says, refused, rule, new, calibrator):
    refused("check", new, "--sets", rule, *words, says=(says,))


def test_check_needs_a_rule_and_other_rows(refused, rule, val, new):
    needs = ("--require", "set-coverage >= 0.5")
    refused("check", new, *needs, says=("give --sets JSON",))
    refused("check", val, "--sets", rule, *needs, says=("set by these very rows",))


# ------------------------------------------------------------------ plot


def test_plots_of_one_rule_and_of_several(run, refused, rule, val, new):
    assert run("sets", val, "--coverage", "0.9", "-o", "more.json").code == 0
    for words in ((), ("--by", "size"), ("--top", "2"), ("--sets", "more.json")):
        result = run("plot", "sets", new, "--sets", rule, *words, "-o", "x.png", *FEW)
        assert result.code == 0, result.err
        assert ("2 of 4 classes are drawn" in result.err) == ("--top" in words)
    refused("plot", "sets", new, "-o", "y.png", says=("--sets",))
    refused("plot", "sets", val, "--sets", rule, "-o", "y.png", says=("set by these very rows",))
