"""split: two parts of a file, with every column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def files(folder):
    """Twelve rows in a group of three each, of classes with 8 and 4 rows."""
    rows = np.arange(12)
    columns = {"row": rows, "score": rows / 12, "label": rows % 3 // 2, "user": rows // 3}
    pq.write_table(pa.table(columns), "a.parquet")
    np.savez("a.npz", logits=np.eye(12)[:, :3], labels=rows % 3, classes=["x", "y", "z"], row=rows)
    return folder


def read(path):
    return pq.read_table(path).to_pydict()


def test_parts_are_the_rows_of_the_file_in_order(run, files):
    for seed in range(3):
        words = ("-o", f"one{seed}.parquet", "-o", f"two{seed}.parquet", "--seed", seed)
        said = run("split", "a.parquet", "--share", "0.25", *words)
        assert said.code == 0
        assert f"Wrote 3 rows to one{seed}.parquet" in said.err
        one, two = read(f"one{seed}.parquet"), read(f"two{seed}.parquet")
        assert sorted(one["row"] + two["row"]) == list(range(12))
        assert one["row"] == sorted(one["row"])
        assert two["row"] == sorted(two["row"])
        assert [row / 12 for row in two["row"]] == two["score"]
        assert list(one) == ["row", "score", "label", "user"]
    assert len({tuple(read(f"one{seed}.parquet")["row"]) for seed in range(3)}) > 1


def test_classes_have_the_same_share(run, files):
    assert run("split", "a.parquet", "--stratified", "0.5").code == 0
    assert sorted(read("a_fit.parquet")["label"]) == [0] * 4 + [1] * 2


def test_groups_stay_together(run, files):
    assert run("split", "a.parquet", "--group", "user").code == 0
    one, two = read("a_fit.parquet"), read("a_test.parquet")
    assert len({*one["user"]}) == len({*two["user"]}) == 2
    assert not {*one["user"]} & {*two["user"]}


def test_numbers_of_the_other_byte_order_are_written(run, files):
    np.savez("big.npz", probs=np.full((4, 2), 0.5), labels=np.arange(4, dtype=">f8") % 2)
    assert run("split", "big.npz", "-o", "one.arrow", "-o", "two.arrow").code == 0


def test_arrays_keep_names_of_classes(run, files):
    assert run("split", "a.npz", "--stratified", "0.5").code == 0
    with np.load("a_fit.npz") as one:
        assert one["logits"].shape == (6, 3)
        assert one["classes"].tolist() == ["x", "y", "z"]
        assert np.bincount(one["labels"]).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--share", "0.5", "--stratified", "0.5"], "give one"),
        (["--share", "1"], "1.0 is not in the range 0<x<1"),
        (["--stratified", "0.5", "--group", "user"], "cannot be combined"),
        (["--share", "0.01"], "too few rows for two parts"),
        (["--group", "nobody"], "no column 'nobody'"),
        (["-o", "one.parquet"], "twice"),
        (["-o", "a.parquet", "-o", "b.parquet"], "would replace"),
        (["-o", "b.parquet", "-o", "b.parquet"], "writes this file too"),
        (["-o", "b.xyz", "-o", "c.parquet"], "suffix '.xyz'"),
    ],
)
def test_mistakes(refused, files, words, says):
    refused("split", "a.parquet", *words, says=(says,))


def test_a_file_that_was_not_named_is_not_replaced(refused, files):
    Path("a_test.parquet").touch()
    refused("split", "a.parquet", says=("a_test.parquet: exists already", "-o"))


def test_rows_of_several_predictions_are_refused(run, refused, folder):
    assert run("example", "demo").code == 0
    refused("split", "demo/tags.parquet", says=("10 labels per row",))
