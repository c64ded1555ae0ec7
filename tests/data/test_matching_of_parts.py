"""Rows of several predictions, matched between files."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibtool as ct
from calibtool.cli.main import main

NAMES = ("spam", "toxic", "news")


def write(path, probs, targets, names=NAMES, ids=None):
    columns = {f"prob_{name}": probs[:, NAMES.index(name)] for name in names}
    columns |= {f"label_{name}": targets[:, NAMES.index(name)] for name in names}
    columns |= {} if ids is None else {"id": ids}
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two models of the same rows; of the second also with rows and labels in another order."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    probs = rng.random((60, 3))
    targets = (rng.random((60, 3)) < probs).astype(np.int64)
    order, ids = rng.permutation(60), np.array([f"doc {k}" for k in range(60)])
    write("a.parquet", probs, targets, ids=ids)
    write("b.parquet", probs**2, targets, ids=ids)
    turned = ("news", "spam", "toxic")
    write("turned.parquet", probs**2, targets, turned)
    write("mixed.parquet", (probs**2)[order], targets[order], turned, ids[order])
    write("fewer.parquet", probs, targets, NAMES[:2])
    write("plain.parquet", probs, targets)


def table(capsys, *names):
    assert main(["compare", *names, "--metrics", "brier,ece", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    return [line.replace("turned", "b").replace("mixed", "b") for line in rows]


def test_labels_are_matched_by_name_and_rows_by_id(files, capsys):
    plain = table(capsys, "a.parquet", "b.parquet")
    assert table(capsys, "a.parquet", "turned.parquet") == plain
    assert table(capsys, "a.parquet", "mixed.parquet") == plain


def test_labels_in_memory_that_have_no_names_are_matched_by_order(files):
    one, two = ct.load("a.parquet"), ct.load("b.parquet")
    loaded = ct.compare([one, two], "brier").lines[0].changes[1].estimate
    named = ct.compare(["a.parquet", "b.parquet"], "brier").lines[0].changes[1].estimate
    assert (loaded.value, loaded.low, loaded.high) == (named.value, named.low, named.high)


def test_files_of_different_labels_are_not_compared(files, capsys):
    assert main(["compare", "plain.parquet", "fewer.parquet"]) == 2
    said = capsys.readouterr().err
    assert "other labels: only plain.parquet has news" in said


def test_images_are_not_compared_with_labels(files, tmp_path, capsys):
    rng = np.random.default_rng(1)
    np.savez("i.npz", logits=rng.normal(size=(30, 3, 4, 4)), labels=rng.integers(0, 3, (30, 4, 4)))
    assert main(["compare", "plain.parquet", "i.npz"]) == 2
    assert "different kinds: images of 4 x 4 and 3 labels per row" in capsys.readouterr().err
    assert main(["compare", "i.npz", "i.npz", "--id", "name"]) == 2
    assert "matched by their order" in capsys.readouterr().err


def soft(path, probs, votes, order, *, ids):
    with path.open("w") as file:
        for k in order.tolist():
            row = {"probs": probs[k].tolist(), "votes": votes[k].tolist()}
            file.write(json.dumps(row | ({"id": k} if ids else {})) + "\n")


def test_soft_labels_are_matched_by_id_and_never_by_order_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    probs, votes = rng.dirichlet(np.ones(3), 50), rng.multinomial(5, [0.5, 0.3, 0.2], 50)
    given, mixed = np.arange(50), rng.permutation(50)
    soft(tmp_path / "a.jsonl", probs, votes, given, ids=True)
    soft(tmp_path / "b.jsonl", probs, votes, mixed, ids=True)
    soft(tmp_path / "c.jsonl", probs, votes, mixed, ids=False)
    flags = ("--soft-labels", "votes", "--metrics", "nll")
    assert main(["compare", "a.jsonl", "b.jsonl", *flags]) == 0
    assert "0.0000   [0.0000, 0.0000]" in capsys.readouterr().out
    assert main(["compare", "a.jsonl", "c.jsonl", *flags]) == 2
    assert "their soft labels differ" in capsys.readouterr().err


def test_levels_are_compared_by_metrics_of_levels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    probs, labels = rng.dirichlet(np.ones(4), 80), rng.integers(0, 4, 80)
    np.savez("a.npz", probs=probs, labels=labels)
    np.savez("b.npz", probs=(probs + 0.25) / 2, labels=labels)
    assert main(["compare", "a.npz", "b.npz", "--ordinal"]) == 0
    assert "rps" in capsys.readouterr().out
    assert main(["report", "a.npz", "--ordinal", "--format", "md"]) == 0
    assert "within-accuracy" in capsys.readouterr().out
    assert ct.evaluate("a.npz", "rps")["rps"].value > 0
