"""calibtool plot KIND, as typed."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import words_of

import calibtool as ct
from calibtool.diagrams.registry import KINDS

FEW = ("--resamples", "40")
TWO_CLASSES = ("decision-curve", "outcomes")
NEEDS = {
    "shift": ("--over", "when"),
    "gain": ("--methods", "temperature,isotonic"),
    "sets": ("--sets", "sets.json"),
}


@pytest.fixture
def dated(data) -> Path:
    """A file with further columns."""
    when = (np.datetime64("2026-01-01") + np.arange(240) // 4).astype(str)
    np.savez("dated.npz", logits=data.logits, labels=data.labels, when=when, site=when < "2026-02")
    return Path("dated.npz")


@pytest.fixture
def two(data) -> Path:
    """The same rows, of class 1 against all others."""
    probs = np.exp(data.logits - data.logits.max(axis=1, keepdims=True))
    score = probs[:, 1] / probs.sum(axis=1)
    np.savez("two.npz", probs=score, labels=(data.labels == 1).astype(int))
    return Path("two.npz")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_from_the_command_line(kind, run, dated, two, calibrator):
    files = [two if kind in TWO_CLASSES else dated]
    if kind == "sets":
        ct.fit_sets(ct.load(dated).take(slice(0, 100))).save("sets.json")
    if kind == "compare":
        ct.fit("vector", ct.load(dated))(ct.load(dated))
        assert run("apply", calibrator, dated, "-o", "other.npz").code == 0
        files.append("other.npz")
    more = NEEDS.get(kind, ())
    result = run("plot", kind, *files, "-o", "x.svg", "--data", "x.json", *FEW, *more)
    assert result.code == 0, result.err
    assert "Wrote x.svg and x.json" in result.err
    record = json.loads(Path("x.json").read_text())
    assert record["kind"] == kind
    assert record["parts"]["data"][0]["rows"] == 240
    assert Path("x.svg").read_text().startswith("<?xml")
    # the same data make the same picture: tests/diagrams/test_drawing.py
    assert run("plot", kind, *files, "--data", "y.json", *FEW, *more).code == 0
    assert Path("x.json").read_bytes() == Path("y.json").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_help_of_every_kind(kind, run):
    result = run("plot", kind, "--help")
    assert result.code == 0
    assert KINDS[kind].summary.split(",")[0][:40] in " ".join(result.out.split())
    assert max(map(len, result.out.splitlines())) <= 80
    assert kind in run("plot", "--help").out


def test_forms_axes_panels_and_files(run, dated, good, calibrator):
    for words in (
        ("--smooth",),
        ("--corp",),
        ("--loess",),
        ("--logit-axis",),
        ("--intervals", "bootstrap", "--bands", "none"),
        ("--by", "site"),
        ("--by", "site", "--calibrator", calibrator),
        ("--profile", "equal_mass", "--bins", "5"),
        ("--view", "top", "--style", "talk", "--width", "20cm"),
    ):
        result = run("plot", "reliability", dated, "-o", "x.png", *FEW, *words)
        assert result.code == 0, (words, result.err)
    for words in (
        (good, dated),
        (good, dated, "--smooth"),
        (good, dated, "--calibrator", calibrator),
    ):
        assert run("plot", "reliability", *words, "-o", "x.svg", *FEW).code == 0
        text = Path("x.svg").read_text()
        assert "dated" in text
        assert "good" in text


def test_decision_curves_of_files_calibrators_and_thresholds(run, refused, two, good):
    assert run("fit-platt", two, "-o", "platt.json").code == 0
    assert run("apply", "platt.json", two, "-o", "after.npz").code == 0
    for words in (
        (two, "--calibrator", "platt.json"),
        (two, "after.npz", "--standardised"),
        (two, "--thresholds", "0.05-0.3", "--style", "dark"),
    ):
        result = run("plot", "decision-curve", *words, "-o", "x.svg", "--data", "x.json", *FEW)
        assert result.code == 0, (words, result.err)
    at = [row["threshold"] for row in json.loads(Path("x.json").read_text())["parts"]["curve"]]
    assert (at[0], at[-1]) == (0.05, 0.3)
    refused("plot", "decision-curve", good, "-o", "y.svg", says=("good.npz", "two classes"))
    refused("plot", "outcomes", good, "-o", "y.svg", says=("good.npz", "two classes"))
    words = (two, "-o", "y.svg", "--thresholds", "3-7")
    refused("plot", "decision-curve", *words, says=("--thresholds", "0.05-0.3"))
    assert run("cells", two, "-o", "two.cells").code == 0
    refused("plot", "decision-curve", "two.cells", "-o", "y.svg", says=("draw it from rows",))


def test_data_alone_draws_nothing(run, good):
    result = run("plot", "reliability", good, "--data", "x.csv", *FEW)
    assert result.code == 0
    assert not list(Path().glob("*.png"))
    with Path("x.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "estimate"]
    own = json.loads(run("evaluate", good, "--metrics", "ece", "--format", "json", *FEW).out)
    (metric,) = own["metrics"]
    (row,) = rows
    assert [float(row[name]) for name in ("value", "low", "high")] == [
        metric[name] for name in ("value", "low", "high")
    ]


def test_matplotlib_is_imported_for_ink_alone(good):
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['plot', 'reliability', {str(good)!r}, '--data', 'x.csv']); "
        "print('matplotlib' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_what_people_get_wrong(refused, good, dated, run):
    refused("plot", "relability", good, says=("relability", "reliability"))
    refused("plot", "reliability", good, good, "-o", "x.png", says=("twice",))
    refused("plot", "compare", good, "-o", "x.png", says=("2 files", "not 1"))
    refused("plot", "reliability", good, "--data", "x.txt", says=("x.txt", ".csv"))
    refused("plot", "reliability", good, "-o", "x.png", "--width", "3 feet", says=("3.25in",))
    refused("plot", "reliability", good, "-o", "x.png", "--by", "site", says=("'site'",))
    refused("plot", "shift", good, "-o", "x.png", says=("--over",))
    refused("plot", "shift", dated, "-o", "x.png", "--over", "where", says=("'where'",))
    refused("plot", "gain", good, "-o", "x.png", "--methods", "magic", says=("magic",))
    refused("plot", "reliability", good, "-o", "x.png", "--view", "positive", says=("two classes",))
    refused("plot", "reliability", "missing.npz", "-o", "x.png", says=("missing.npz",))


def test_confidences_alone_have_no_classes_and_no_temperature(refused, run):
    np.savez("top.npz", confidence=np.linspace(0.3, 1, 60), correct=np.arange(60) % 3 > 0)
    for kind in ("classwise", "confusion-calibration", "temperature"):
        refused("plot", kind, "top.npz", "-o", "x.png", says=("top.npz", "rows"))
    for kind in ("reliability", "confidence", "risk-coverage", "bins", "belt"):
        assert run("plot", kind, "top.npz", "-o", "x.png", *FEW).code == 0


def test_two_classes_from_one_column(run, examples):
    for kind in ("reliability", "confidence", "classwise", "temperature", "belt"):
        result = run("plot", kind, examples / "digits_binary.parquet", "-o", "x.svg", *FEW)
        assert result.code == 0, result.err


def test_a_class_that_no_row_gives_a_chance(run):
    np.savez("y.npz", probs=np.tile([0.0, 1.0], (20, 1)), labels=np.zeros(20, int))
    ran = run("plot", "classwise", "y.npz", "--resamples", "20", "-o", "out.svg")
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err


@pytest.fixture
def sliced(data) -> Path:
    """Six sites of 39 rows, and one of 6."""
    site = np.append(np.arange(234) % 6, [9] * 6).astype(str)
    np.savez("sliced.npz", logits=data.logits, labels=data.labels, site=site)
    return Path("sliced.npz")


def test_top_and_pages_of_the_slices(run, refused, sliced):
    words = ("plot", "reliability", sliced, "--by", "site", *FEW)
    result = run(*words, "--width", "2in", "-o", "x.svg")
    assert result.code == 0, result.err
    assert "9 (6); 6 rows in all" in result.err
    assert "Wrote x.svg and x-2.svg" in result.err
    assert run(*words, "--top", "2", "-o", "y.svg", "--data", "y.json").code == 0
    record = json.loads(Path("y.json").read_text())["parts"]
    assert len(record["summary"]) == 2
    assert not Path("y-2.svg").exists()
    refused("plot", "reliability", sliced, "--top", "2", "-o", "z.svg", says=("--top", "--by"))
    Path("copy.npz").write_bytes(Path(sliced).read_bytes())
    words = ("plot", "reliability", sliced, "copy.npz", "--by", "site", "-o", "z.svg")
    refused(*words, says=("--by draws the slices of one set of predictions, not of 2",))


def test_two_columns_are_drawn_by_class_1_in_pictures_and_in_the_terminal(run, two):
    with np.load(two) as file:
        score, labels = file["probs"], file["labels"]
    np.savez("wide.npz", probs=np.stack([1 - score, score], axis=1), labels=labels)
    for words in (("plot", "reliability"), ("evaluate", "--plot")):
        result = run(words[0], *words[1:], "wide.npz", *FEW)
        assert "frequency of class 1" in result.out, result.err
    assert "accuracy" in run("plot", "reliability", "wide.npz", "--view", "top", *FEW).out
    for kind in ("reliability", "belt", "confidence"):
        for view, name in (("auto", "P(class 1)"), ("top", "Confidence")):
            words = ("plot", kind, "wide.npz", "--view", view, "-o", "x.svg", *FEW)
            assert run(*words).code == 0
            assert f">{name}<" in Path("x.svg").read_text()


def test_models_side_by_side_classes_and_titles(run, data, good, calibrator):
    assert run("apply", calibrator, good, "-o", "other.npz").code == 0
    words = ("plot", "reliability", good, "other.npz", "-o", "x.svg", *FEW)
    assert run(*words).code == 0
    picture = Path("x.svg").read_text()
    assert all(f'id="{mark}-{k}"' in picture for mark in ("bars", "histogram") for k in (0, 1))
    assert "models set apart along the diagonal, which keeps their gaps" in words_of("x.svg")
    assert run(*words, "--smooth").code == 0
    assert all(f'id="{end}-1"' in Path("x.svg").read_text() for end in ("low", "high"))
    assert run("plot", "compare", good, "other.npz", "-o", "x.svg", *FEW).code == 0
    assert "other minus good" in words_of("x.svg")
    assert run("plot", "classwise", good, "-o", "x.svg", "--data", "x.json", *FEW).code == 0
    assert "too high" in words_of("x.svg")
    strip = json.loads(Path("x.json").read_text())["parts"]["strip"]
    assert all((row["p"] is None) == (row["n"] == 0) for row in strip)
    assert run("plot", "confusion-calibration", good, "-o", "x.svg", *FEW).code == 0
    assert re.search(r"\d+ rows, \d+ % are class \d", words_of("x.svg"))
    np.savez("sure.npz", logits=data.logits * 9, labels=data.labels)
    assert run("plot", "reliability", "sure.npz", "-o", "x.svg", *FEW).code == 0
    assert "histogram: log scale" in words_of("x.svg")


def test_names_numbers_caption_title_and_size_are_the_users(run, refused, dated, calibrator):
    plot = ("plot", "reliability", dated, "--calibrator", calibrator, "-o", "x.svg", *FEW)
    assert run(*plot).code == 0
    plain = words_of("x.svg")
    assert "as given: ECE" in plain
    assert "Bars: 95 % intervals" in plain
    named = ("--name", "base=line", "--name", "ours", "--rename", "Confidence = Konfidenz")
    assert run(*plot, *named, "--stats", "none", "--caption", "none", "--title", "Fig. 1").code == 0
    text = words_of("x.svg")
    assert all(f" {word} " in f" {text} " for word in ("base=line", "ours", "Konfidenz", "Fig. 1"))
    assert not any(word in text for word in ("ECE", "Bars", "as given", "Confidence"))
    assert run(*plot, "--caption", "Our own words.").code == 0
    assert "Our own words." in words_of("x.svg")
    assert "Bars" not in words_of("x.svg")
    refused(*plot, "--name", "a", "--name", "b", "--name", "c", says=("3 names for a key of 2",))
    refused(*plot, "--rename", "Confidenz=x", says=("'Confidenz'", "'Confidence'", "'as given'"))
    refused(*plot, "--rename", "Confidence", says=("OLD=NEW",))
    refused(*plot, "--height", "3 feet", says=("--height", "3.25in"))


@pytest.mark.parametrize("kind", ["reliability", "gain", "risk-coverage"])
def test_a_picture_has_the_size_that_is_asked_for(kind, run, dated):
    size = ("--width", "5in", "--height", "4in", "-o", "x.svg", *FEW)
    assert run("plot", kind, dated, *size, *NEEDS.get(kind, ())).code == 0
    head = Path("x.svg").read_text()[:2000]
    assert re.search(r'width="360pt" height="288pt"', head)


def test_a_transparent_picture_has_no_background(run, dated):
    from matplotlib.image import imread

    for words, alpha in (((), 1.0), (("--transparent",), 0.0)):
        assert run("plot", "gain", dated, "-o", "x.png", *FEW, *NEEDS["gain"], *words).code == 0
        picture = imread("x.png")
        assert picture[0, 0, 3] == picture[-1, -1, 3] == alpha


def test_a_poster_is_wide_and_its_text_large(run, dated):
    assert run("plot", "reliability", dated, "--style", "poster", "-o", "x.svg", *FEW).code == 0
    text = Path("x.svg").read_text()
    assert 'width="864pt"' in text  # 12 inches
    assert "24px" in text
    assert "dated.npz" in words_of("x.svg")


def test_options_of_the_look_draw_a_picture_where_the_terminal_would_show_bins(run, good):
    assert run("plot", "reliability", good, "--stats", "none", *FEW).code == 0
    assert Path("reliability.png").exists()


def test_text_that_leaves_no_room_is_said(refused, good):
    """A name of 4,000 letters, wrapped, is higher than any picture."""
    words = ("plot", "bins", good, "--name", "x" * 4000, "--height", "3in", *FEW)
    refused(*words, says=("no room", "--width"))
