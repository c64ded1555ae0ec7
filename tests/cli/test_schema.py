"""calibtool schema, and the documents that commands write."""

from __future__ import annotations

import csv
import io
import json
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from valid import require_valid

from calibtool.diagrams.registry import KINDS
from calibtool.reports.schemas.registry import SCHEMAS

FEW = ("--resamples", "20")
JSON = ("--format", "json")


# ------------------------------------------------------------------ the command


def test_it_lists_every_schema_with_a_line(run):
    result = run("schema")
    assert result.code == 0
    for name, entry in SCHEMAS.items():
        assert any(
            line.startswith(name) and entry.of in line and line.endswith(entry.by)
            for line in result.out.splitlines()
        )
    assert max(map(len, result.out.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(run("schema", "--format", "csv").out)))
    assert [row["schema"] for row in rows] == list(SCHEMAS)
    assert "| report |" in run("schema", "--format", "markdown").out
    listed = json.loads(run("schema", *JSON).out)
    require_valid(listed)
    assert listed["schemas"] == rows


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_prints_a_schema(name, run):
    result = run("schema", name)
    assert result.code == 0
    made = json.loads(result.out)
    Draft202012Validator.check_schema(made)
    assert result.out == run("schema", f"calibtool-{name}", *JSON).out
    run("schema", name, "-o", "one.json")
    assert Path("one.json").read_text(encoding="utf-8") == result.out


def test_what_it_cannot_print_is_refused(refused):
    refused("schema", "reprot", says=("there is no schema 'reprot'; did you mean report",))
    refused("schema", "", says=("there is no schema ''",))
    refused("schema", "report", "--format", "csv", says=("--format csv", "a schema is JSON"))
    refused("schema", "report", "-o", "nowhere/x.json", says=("nowhere",))


def test_an_editor_is_told_what_the_help_says(run):
    made = json.loads(run("schema", "config").out)
    keys = made["$defs"]["check"]["properties"]
    assert keys["mode"]["enum"] == ["prove", "tolerate", "point"]
    assert keys["mode"]["description"].startswith("prove passes only what is proven")
    assert [key for key, value in keys.items() if "description" not in value] == ["file"]


# ------------------------------------------------------------------ fresh documents


@pytest.fixture
def files(folder):
    """Rows of two classes with columns, rows of three, costs, and a smaller file of each kind."""
    rng = np.random.default_rng(0)
    score = rng.beta(2, 2, 600).round(3)
    label = rng.random(600) < score**1.5
    lines = [
        f"{p},{int(y)},{'xyz'[k % 3]},2026-01-{1 + k // 60:02d}"
        for k, (p, y) in enumerate(zip(score, label, strict=True))
    ]
    Path("two.csv").write_text("score,label,place,day\n" + "\n".join(lines) + "\n")
    other = [line.replace("0.", "0.0", 1) for line in lines]  # the same rows, lower scores
    Path("other.csv").write_text("score,label,place,day\n" + "\n".join(other) + "\n")
    Path("half.csv").write_text("score,label,place,day\n" + "\n".join(lines[::2]) + "\n")
    logits = rng.normal(size=(400, 3)) * 2
    labels = (logits + rng.gumbel(size=(400, 3))).argmax(axis=1)
    np.savez("three.npz", logits=logits, labels=labels)
    np.savez("half.npz", logits=logits[::2], labels=labels[::2])
    np.savez("none.npz", logits=logits[::2])
    Path("right.csv").write_text("confidence,correct\n" + "0.9,1\n0.6,0\n0.7,1\n0.8,1\n" * 30)
    Path("costs.toml").write_text("reject = 0.2\n[cost.0]\n1 = 1\n[cost.1]\n0 = 5\n")


LINES = {
    "report": [
        ("evaluate", "two.csv", *FEW),
        ("evaluate", "two.csv", "--metrics", "all", *FEW),
        ("evaluate", "three.npz", "--metrics", "all", "--ci", "none"),
        ("evaluate", "right.csv", *FEW),
        ("evaluate", "three.npz", "--ood", "half.npz", *FEW),
        ("fit-temperature", "three.npz", *FEW),
    ],
    "reports": [("evaluate", "two.csv", "half.csv", *FEW)],
    "check": [
        ("check", "two.csv", "--require", "ece <= 0.1", "--require", "nll <= 0.6 by place", *FEW),
        ("check", "two.csv", "--require", "p(spiegelhalter) >= 0.01", "--resamples", "200"),
        ("check", "two.csv", "--require", "delta(ece) <= 0.1", "--baseline", "other.csv", *FEW),
        ("check", "two.csv", "--require", "e(change) < 20", "--every", "day", "--time", "day"),
        ("check", "two.csv", "--require", "ece <= 0.1", "--mode", "point", "--ci", "none"),
    ],
    "comparison": [("compare", "two.csv", "other.csv", *FEW)],
    "slices": [("evaluate", "two.csv", "--by", "place", *FEW)],
    "found-slices": [("slices", "two.csv")],
    "monitor": [
        ("monitor", "two.csv", "--time", "day", *FEW),
        ("monitor", "two.csv", "--time", "day", "--against", "calibrated", "--ci", "none"),
    ],
    "monitor-slices": [("monitor", "two.csv", "--time", "day", "--by", "place")],
    "selection": [("select", "two.csv", *FEW)],
    "tests": [("test", "two.csv", "--resamples", "50"), ("test", "three.npz", "--resamples", "50")],
    "implied": [("estimate", "none.npz"), ("estimate", "three.npz")],
    "prior": [("estimate", "none.npz", "--labelled", "three.npz", *FEW)],
    "threshold": [
        ("threshold", "two.csv", "--target", "risk <= 40 %"),
        ("threshold", "two.csv", "--target", "accuracy >= 0.6", "--by", "place"),
        ("threshold", "two.csv", "--target", "cost <= 0.9", "--cost", "costs.toml"),
        ("threshold", "two.csv", "--target", "risk <= 1 %"),
        ("threshold", "two.csv", "--target", "risk <= 1 %", "--by", "place"),
        ("threshold", "right.csv", "--target", "accuracy >= 0.6"),
    ],
    "costs": [("threshold", "two.csv", "--cost", "costs.toml")],
    "sets": [("sets", "three.npz"), ("sets", "three.npz", "--per-class", "--method", "lac")],
    "set-report": [("evaluate", "half.npz", "--sets", "sets.json")],
    "convention": [("evaluate", "two.csv", "--as", "netcal")],
    "conventions": [("evaluate", "two.csv", "--conventions")],
    "inspection": [("inspect", "two.csv"), ("inspect", "none.npz")],
    "metrics": [("metrics",)],
    "losses": [("losses",)],
    "schemas": [("schema",)],
    "error": [("evaluate", "missing.npz"), ("metrics", "eec"), ("schema", "x")],
}


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, lines in LINES.items() for line in lines]
)
def test_a_fresh_document_is_valid(name, line, run, files):
    if "sets.json" in line:
        assert run("sets", "three.npz", "-o", "sets.json").code == 0
    result = run(*line, *JSON)
    assert (result.code == 2) == (name == "error"), result.err
    document = json.loads(result.out)
    assert document["format"] == f"calibtool-{name}"
    require_valid(document)


NEEDS = {
    "gain": ("--methods", "platt"),
    "shift": ("--over", "score"),
    "sets": ("--sets", "sets.json"),
    "compare": ("other.csv",),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_of_a_diagram_are_valid(kind, run, files):
    if kind == "sets":
        assert run("sets", "half.csv", "-o", "sets.json").code == 0
    line = ("two.csv", *NEEDS.get(kind, ()), "--resamples", "0", "--data", "data.json")
    result = run("plot", kind, *line)
    assert result.code == 0, result.err
    require_valid(json.loads(Path("data.json").read_text(encoding="utf-8")))


def test_what_other_commands_write_is_valid(run, files):
    assert run("cells", "two.csv", "-o", "two.cells").code == 0
    assert run("cells", "right.csv", "-o", "right.cells").code == 0
    for file in ("two.cells", "right.cells"):
        with zipfile.ZipFile(file) as archive:
            require_valid(json.loads(archive.read("header.json")), "cells")
    for command, schema in (
        (("threshold", "two.csv", "--target", "risk <= 40 %"), "threshold"),
        (("sets", "two.csv"), "sets"),
        (("fit-platt", "two.csv", "--by", "place", *FEW), "calibrator"),
    ):
        assert run(*command, "-o", "one.json").code == 0
        require_valid(json.loads(Path("one.json").read_text(encoding="utf-8")), schema)
    for file in ("calibtool.toml", "pyproject.toml"):
        assert run("check", "two.csv", "--init", file, *FEW).code == 0
        require_valid(tomllib.loads(Path(file).read_text(encoding="utf-8")), "config")
