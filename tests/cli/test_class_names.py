"""Classes are called as the columns of their probabilities are, in every command."""

from __future__ import annotations

from pathlib import Path

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
