"""Classes are called as the columns of their probabilities are, in every command."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

NAMES = ("cat", "dog", "great ape")
TEXT = {".csv": pyarrow.csv.write_csv, ".parquet": pq.write_table}


@pytest.fixture(params=TEXT)
def table(request, data):
    """Write a table with a column per class, called by a form of its name; labels are names, or
    class ids."""

    def write(form, *, words, order=(0, 1, 2)):
        columns = {form.format(NAMES[k]): data.probs[:, k] for k in order}
        places = {k: place for place, k in enumerate(order)}
        labels = [NAMES[k] if words else places[k] for k in data.labels.tolist()]
        path = f"p{request.param}"
        TEXT[request.param](pa.table({**columns, "label": labels}), path)
        return path

    return write


def slices(run, *words):
    out = run("evaluate", *words, "--by", "predicted", "--metrics", "accuracy", "--ci", "none").out
    return {line.strip().partition("  ")[0] for line in out.splitlines() if line.startswith("  ")}


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("prob_{}", ()),
        ("Prob.{}", ()),
        ("prob_{}", ("--probs", "prob_great ape,prob_cat,prob_dog")),
        ("resnet_{}", ("--probs", "resnet")),
        ("{}", ("--probs", "great ape,cat,dog")),
    ],
)
def test_every_command_calls_classes_as_their_columns(run, table, form, options, words):
    # where the columns are listed in another order, ids count in that order
    order = (2, 0, 1) if "," in "".join(options) else (0, 1, 2)
    path = table(form, words=words, order=order)
    assert slices(run, path, *options) == set(NAMES)
    few = ("--resamples", "20")
    assert run("report", path, *options, "-o", "r.md", *few).code == 0
    assert "\n| great ape |" in Path("r.md").read_text()
    assert run("plot", "confusion-calibration", path, *options, "--data", "d.csv", *few).code == 0
    assert "great ape" in Path("d.csv").read_text()
    assert run("fit", "vector", path, *options, "-o", "v.json", "--ci", "none").code == 0
    assert run("apply", "v.json", path, *options, "-o", "o.parquet").code == 0
    assert slices(run, "o.parquet", *options) == set(NAMES)


def test_columns_with_numbers_are_no_names(run, data, table):
    path = "n.csv"
    columns = {f"z{k}": data.logits[:, k] for k in range(3)}
    pyarrow.csv.write_csv(pa.table({**columns, "label": data.labels}), path)
    out = run("evaluate", path, "--logits", "z0,z1,z2", "--by", "predicted", "--ci", "none").out
    assert all(f"\n  {k}  " in out for k in range(3))


def test_classes_in_another_order_than_the_columns_are_refused(refused, run, table):
    path = table("prob_{}", words=True, order=(2, 0, 1))
    for command in (("evaluate",), ("fit", "temperature")):
        refused(
            *(*command, path, "--classes", "cat,dog,great ape"),
            says=(f"{path}: --classes has another order than the columns, which name great ape",),
        )
    same = run("evaluate", path, "--classes", "great ape,cat,dog", "--ci", "none")
    assert same.out == run("evaluate", path, "--ci", "none").out


# ------------------------------------------------------------------ two classes, and labels

NUMBERED = re.compile(r"\b[Cc]lass [01]\b(?!\.\d)")  # the view "class" stands before numbers
FEW = ("--resamples", "20")
KINDS = {
    # kind of diagram: its options, and what it says of two classes, and of labels
    "reliability": ((), "P(sepsis)", "Frequency of the label"),
    "confidence": ((), "class healthy,", "without the label,"),
    "outcomes": ((), "class healthy,", "without the label,"),
    "decision-curve": (("--standardised",), "are class sepsis", "have the label"),
    "belt": ((), "Frequency of class sepsis", "P(label)"),
}


@pytest.fixture
def files():
    """Write a file of two classes with names, and one of labels, whose probabilities are too high;
    return their paths."""
    random = np.random.default_rng(0)
    p = random.random(300)
    sick = random.random(300) < 0.6 * p
    words = np.where(sick, "sepsis", "healthy").tolist()
    two = {"prob_healthy": 1 - p, "prob_sepsis": p, "label": words}
    pq.write_table(pa.table(two), "two.parquet")
    labels = {}
    for name in ("spam", "urgent"):
        q = random.random(300)
        labels[f"prob_{name}"] = q
        labels[f"label_{name}"] = (random.random(300) < 0.6 * q).astype(int)
    pq.write_table(pa.table(labels), "labels.parquet")
    return "two.parquet", "labels.parquet"


def seen(markup):
    """Return the texts of a picture or a page, where a line may break anywhere."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", markup)).split())


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_call_both_classes_by_their_names(run, files, kind):
    options, *says = KINDS[kind]
    for path, said in zip(files, says, strict=True):
        assert run("plot", kind, path, *options, "-o", "p.svg", *FEW).code == 0
        text = seen(Path("p.svg").read_text(encoding="utf-8"))
        assert said in text
        assert not NUMBERED.search(text)


def test_each_panel_is_of_a_label(run, files):
    assert run("plot", "reliability", files[1], "--by", "label", "-o", "p.svg", *FEW).code == 0
    text = seen(Path("p.svg").read_text(encoding="utf-8"))
    assert all(part in text for part in ("label spam", "label urgent", "P(label)"))


def test_axes_are_renamed_by_either_name(run, refused, files):
    for old in ("P(sepsis)", "P(class 1)"):
        words = ("plot", "reliability", files[0], "--rename", f"{old}=Risk", "-o", "p.svg", *FEW)
        assert run(*words).code == 0
        text = seen(Path("p.svg").read_text(encoding="utf-8"))
        assert "Risk" in text
        assert old not in text
    unknown = ("--rename", "P(class 2)=Risk", "-o", "p.svg", *FEW)
    refused("plot", "reliability", files[0], *unknown, says=("nothing is called 'P(class 2)'",))


def test_sentences_call_both_classes_by_their_names(run, files):
    two, labels = files
    plotted = run("plot", "reliability", two, *FEW).out
    assert "frequency of class sepsis\n" in plotted
    assert "P(sepsis)" in plotted
    assert "frequency of the label\n" in run("plot", "reliability", labels, *FEW).out
    words = ("--metrics", "ece(view=positive)", *FEW)
    told = run("evaluate", two, *words).out.replace("\n", " ")
    assert re.search(r"Class sepsis is over-predicted: P\(sepsis\) is .* are class sepsis", told)
    told = run("evaluate", labels, *words).out.replace("\n", " ")
    assert re.search(r"The label is over-predicted: P\(label\) is .* have the label", told)


def pages(run, path, *options):
    """Return the texts of both forms of a report, and its page."""
    found = {}
    for name in ("r.html", "r.md"):
        assert run("report", path, *options, "-o", name, *FEW).code == 0
        found[name] = Path(name).read_text(encoding="utf-8")
    page = re.sub(r"<(style|script).*?</\1>", "", found["r.html"], flags=re.DOTALL)
    return seen(page), unescape(re.sub(r"\\(.)", r"\1", found["r.md"])), unescape(page)


@pytest.mark.parametrize(
    ("place", "said", "side"),
    [(0, "P(sepsis)", "class healthy"), (1, "P(label)", "without the label")],
)
def test_reports_call_both_classes_by_their_names(run, files, place, said, side):
    *texts, page = pages(run, files[place], "--clinical")
    for text in texts:
        assert said in text
        assert side in text
        assert not NUMBERED.search(text)
    assert '<section class="verdict bad">' in page
    assert f"<dt>{said}</dt>" in page  # in the glossary


def test_names_that_mean_something_to_a_format_are_text(run, files):
    table = pq.read_table(files[0]).rename_columns(["prob_a|b", "prob_{x} <i>*", "label"])
    words = ["{x} <i>*" if word == "sepsis" else "a|b" for word in table["label"].to_pylist()]
    pq.write_table(table.set_column(2, "label", pa.array(words)), "odd.parquet")
    _, text, page = pages(run, "odd.parquet")
    assert "P({x} <i>*) is" in text
    assert "<dt>P({x} <i>*)</dt>" in page


def test_a_threshold_calls_classes_by_their_names_wherever_it_goes(run, files):
    words = ("threshold", files[0], "--target", "precision >= 0.3", "-o", "t.json")
    out = run(*words).out
    assert "Accepted: rows whose P(sepsis) is at least the threshold." in out
    for path, command in (
        ("t.json", ()),
        ("t.py", ("export", "t.json", "--to", "python", "-o", "t.py")),
        ("t.svg", ("plot", "threshold", files[0], "--target", "recall >= 0.8", "-o", "t.svg")),
    ):
        assert not command or run(*command).code == 0
        text = Path(path).read_text(encoding="utf-8")
        assert "P(sepsis)" in text
        assert not NUMBERED.search(text)


def test_a_recall_without_rows_names_its_class(run, files):
    words = ("threshold", files[0], "--target", "recall >= 0.3", "-o", "t.json")
    assert run(*words).code == 0
    table = pq.read_table(files[0]).to_pandas()
    well = table[table["label"] == "healthy"]
    pq.write_table(pa.Table.from_pandas(well), "well.parquet")
    words = ("well.parquet", "--classes", "healthy,sepsis")
    told = run("check", *words, "--threshold", "t.json")
    assert "none is of class sepsis" in told.err.replace("\n", " ")
    drawn = run("plot", "threshold", *words, "--target", "recall >= 0.8", "-o", "t.svg")
    assert "rows of class sepsis" in drawn.err.replace("\n", " ")


@pytest.mark.parametrize("kind", ["reliability", "decision-curve", "compare", "risk-coverage"])
def test_long_names_of_files_are_wrapped_and_not_cut(run, files, kind):
    name = "a_model_whose_name_tells_its_data_its_seed_and_its_rate_of_learning_" + "x" * 20
    shutil.copy(files[0], f"{name}.parquet")
    assert run("plot", kind, files[0], f"{name}.parquet", "-o", "p.svg", *FEW).code == 0
    text = seen(Path("p.svg").read_text(encoding="utf-8"))
    assert "…" not in text
    assert name in text.replace(" ", "")
