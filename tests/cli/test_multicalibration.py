"""fit-multicalibration as people run it, from the slices that are off to the exported module."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

ROWS = 3000


@pytest.fixture
def visits(folder):
    """A table in which country b is off, with a rating of few values and an age of many."""
    rng = np.random.Generator(np.random.PCG64(0))
    z = rng.normal(-0.5, 1.2, ROWS)
    country = rng.choice(list("abc"), ROWS, p=[0.5, 0.3, 0.2])
    label = (rng.random(ROWS) < expit(z - 1.2 * (country == "b"))).astype(int)
    columns = {
        "score": expit(z),
        "label": label,
        "country": country,
        "age": rng.normal(40, 12, ROWS).round(1),
        "stars": rng.integers(1, 6, ROWS),
        "site": np.full(ROWS, "here"),
        "user": np.arange(ROWS) // 10,
    }
    with (folder / "visits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return "visits.csv"


def rows_of(name):
    """The rows of a table, as texts."""
    with Path(name).open(newline="") as file:
        return list(csv.DictReader(file))


FIT = ("fit-multicalibration", "visits.csv", "--by", "country,age")
FAST = ("--ci", "none")


def test_from_the_slices_that_are_off_to_the_repaired_file(run, visits, folder):
    columns = "country,age"
    before = run("slices", visits, "--columns", columns)
    assert "To repair slices: calibtool fit-multicalibration FILE --by country" in before.out
    assert "Multicalibration error (mce-slices): " in before.out
    fitted = run(*FIT, "-o", "m.json")
    assert fitted.code == 0, fitted.err
    assert "Note: on held-out rows the worst slice is country b, " in fitted.err
    assert max(map(len, fitted.out.splitlines())) <= 80
    applied = run("apply", "m.json", visits, "-o", "after.csv")
    assert applied.code == 0, applied.err
    found = [
        json.loads(run("slices", name, "--columns", columns, "--format", "json").out)
        for name in (visits, "after.csv")
    ]
    assert found[0]["mce_slices"]["slice"] == "b"
    assert found[0]["mce_slices"]["p_value"] < 1e-3
    assert found[1]["mce_slices"]["value"] < 0.5 * found[0]["mce_slices"]["value"]
    assert "To repair" not in run("slices", "after.csv", "--columns", columns).out
    # the same by --calibrator, and by the exported module
    one, other = (
        json.loads(run(*words, "--ci", "none", "--format", "json").out)["metrics"][0]
        for words in (
            ("evaluate", visits, "--calibrator", "m.json", "--metrics", "nll"),
            ("evaluate", "after.csv", "--metrics", "nll"),
        )
    )
    assert one["after"]["value"] == pytest.approx(other["value"], abs=1e-6)
    assert run("export", "m.json", "--to", "python", "-o", "m.py").code == 0
    module: dict = {}
    exec((folder / "m.py").read_text(), module)
    pairs = list(zip(rows_of(visits), rows_of("after.csv"), strict=True))[:50]
    for row, after in pairs:
        own = {"country": row["country"], "age": float(row["age"])}
        p = float(row["score"])
        assert module["m"]([1 - p, p], own)[1] == pytest.approx(float(after["score"]))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "fit-multicalibration patches the slices of columns; name them, such as with --by"),
        (("--by", "nowhere"), "there is no column 'nowhere'; the file has score, label, country"),
        (("--by", "country,country"), "the same column is named twice"),
        (("--by", "country,,age"), "expected names of columns"),
        (("--by", "country", "--tolerance", "2"), "--tolerance must be at least 0 and below 1"),
        (("--by", "country", "--tolerance", "nan"), "--tolerance must be at least 0"),
        (("--by", "country", "--pooled"), "No such option"),
        (("--by", "country", "--cluster", "client"), "there is no column 'client'"),
        (("--by", "country", "--cluster", "country"), "3 clusters are too few for 5 folds"),
        (("--by", "country", "--filter", "age > 100"), "no rows"),
    ],
)
def test_what_cannot_be_is_refused_in_words(refused, visits, arguments, says):
    refused("fit-multicalibration", visits, *arguments, says=(says,))


def test_a_tolerance_of_0_is_the_default(run, visits):
    for more, name in (((), "a.json"), (("--tolerance", "0"), "b.json")):
        assert run(*FIT, *FAST, *more, "-o", name).code == 0
    assert Path("a.json").read_text() == Path("b.json").read_text()


@pytest.mark.parametrize("by", ["site", "stars", "site,stars"])
def test_columns_by_which_nothing_is_off_are_told(run, visits, by):
    result = run("fit-multicalibration", visits, "--by", by, *FAST, "-o", "m.json")
    assert result.code == 0, result.err
    assert ("site: holds one value" in result.err) == ("site" in by)
    assert "Note: no slice is off by more than chance on held-out rows" in result.err


def test_a_file_without_the_columns_is_refused_by_name(run, refused, visits):
    assert run(*FIT, *FAST, "-o", "m.json").code == 0
    Path("bare.csv").write_text("score,label\n0.5,1\n0.2,0\n")
    refused("apply", "m.json", "bare.csv", "-o", "x.csv", says=("bare.csv: there is no column",))
    Path("numbers.csv").write_text("score,label,country,age\n0.5,1,7,40\n0.2,0,8,50\n")
    says = ("numbers.csv: country: holds numbers, the calibrator was fitted to texts",)
    refused("apply", "m.json", "numbers.csv", "-o", "x.csv", says=says)


def test_unseen_values_and_missing_ones_are_calibrated_without_their_slices(run, visits):
    assert run("fit-multicalibration", visits, "--by", "country", *FAST, "-o", "m.json").code == 0
    Path("new.csv").write_text("score,label,country\n0.5,1,zz\n0.5,0,\n0.5,0,b\n")
    result = run("apply", "m.json", "new.csv", "-o", "after.csv")
    assert result.code == 0, result.err
    unseen, missing, off = (float(row["score"]) for row in rows_of("after.csv"))
    assert unseen == missing
    assert off < unseen - 0.1


def test_correlated_rows_stay_in_one_fold_of_fit_and_report(run, visits):
    words = ("--by", "country", "--cluster", "user")
    result = run("fit-multicalibration", visits, *words, *FAST, "-o", "m.json")
    assert result.code == 0, result.err
    assert "without any slice off" not in result.err  # what chance alone makes is not known
    assert json.loads(Path("m.json").read_text())["fitted"]["options"]["cluster"] == "user"
    test = run("fit-multicalibration", visits, *words, *FAST, "--test", visits)
    assert test.code == 0, test.err


def test_only_python_takes_columns(run, refused, visits):
    assert run(*FIT, *FAST, "-o", "m.json").code == 0
    for to, name in (("onnx", "m.onnx"), ("c", "m.h")):
        refused("export", "m.json", "--to", to, "-o", name, says=("takes scores only",))


def test_those_that_compare_calibrators_of_scores_say_why_they_do_not_try_it(refused, visits):
    refused("select", visits, "--methods", "multicalibration", says=("needs columns",))
    refused(
        *("plot", "gain", visits, "--methods", "multicalibration", "-o", "g.svg"),
        says=("needs columns",),
    )


def test_labels_of_a_row_stay_in_one_fold_and_are_slices(run, folder):
    rng = np.random.Generator(np.random.PCG64(1))
    z = rng.normal(-0.5, 1.2, (ROWS // 2, 2))
    targets = rng.random(z.shape) < expit(z - np.array([0.0, 1.2]))
    np.savez("tags.npz", probs=expit(z), targets=targets.astype(int))
    words = ("tags.npz", "--multilabel", "--labels", "targets")
    result = run("fit-multicalibration", *words, "--by", "label", *FAST, "-o", "m.json")
    assert result.code == 0, result.err
    assert "the worst slice is label " in result.err
    assert run("evaluate", *words, "--calibrator", "m.json", *FAST).code == 0
