"""`calibtool apply` carries columns along, and what is missing in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

import calibtool as ct


def gappy():
    """A table whose further columns lack values in two of three rows, of every type."""
    rng = np.random.Generator(np.random.PCG64(5))
    score = rng.random(90).round(3)

    def gaps(values):
        return [value if row % 3 == 1 else None for row, value in enumerate(values)]

    lists = pa.array(gaps([[1.0, 2.0]] * 90), pa.list_(pa.float64(), 2))
    return pa.table(
        {
            "score": score,
            "label": (rng.random(90) < score).astype(int),
            "big": pa.array(gaps([(1 << 60) + k for k in range(90)]), pa.int64()),
            "share": pa.array([*gaps([0.5] * 89), np.nan]),
            "word": gaps(["", "a", "b"] * 30),
            "flag": gaps([True, False] * 45),
            "day": pa.array(gaps(list(range(90))), pa.timestamp("us")),
            "kind": pa.array(gaps(["x", "y"] * 45)).dictionary_encode(),
            "pair": lists,
            "none": pa.array([None] * 90, pa.string()),
            "nowhere": pa.array([None] * 90, pa.list_(pa.float64(), 2)),
        }
    )


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_apply_keeps_what_is_missing(run, suffix):
    before = gappy()
    pq.write_table(before, "in.parquet")
    ct.fit("platt", "in.parquet").save("c.json")
    # rows that are left out take their gaps along
    condition = ("--filter", "score > 0.2")
    assert run("apply", "c.json", "in.parquet", *condition, "-o", f"out.{suffix}").code == 0
    kept = before.filter(pc.greater(before["score"], 0.2))
    after = pq.read_table("out.parquet") if suffix == "parquet" else feather.read_table("out.arrow")
    assert after.column_names == before.column_names
    for name in ("label", "big", "word", "flag", "pair", "day"):
        assert after[name].to_pylist() == kept[name].to_pylist(), name
    assert after["big"].type == pa.int64()
    assert after["kind"].to_pylist() == kept["kind"].to_pylist()
    assert after["none"].null_count == after["nowhere"].null_count == len(after)
    share = after["share"].to_pylist()
    assert share[:-1] == kept["share"].to_pylist()[:-1]
    assert np.isnan(share[-1])  # NaN is a value


def test_apply_writes_gaps_as_each_format_can(run):
    before = gappy().drop_columns(["pair", "day", "none", "nowhere"])
    csv.write_csv(before, "in.csv")
    ct.fit("platt", "in.csv").save("c.json")
    for name in ("out.csv", "out.npz"):
        assert run("apply", "c.json", "in.csv", "-o", name).code == 0
    lines = Path("out.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines]
    at = cells[0].index('"big"')
    assert [row[at] for row in cells[1:4]] == ["", str((1 << 60) + 1), ""]
    held = np.load("out.npz")
    assert np.isnan(held["big"]).sum() == 60
    assert (held["word"] == "").sum() == 60


def test_a_calibrator_by_groups_sees_that_a_group_is_missing(refused):
    table = gappy().select(["score", "label"])
    place = pa.array(["a" if k % 2 else None for k in range(90)])
    pq.write_table(table.append_column("place", place), "in.parquet")
    known = pa.array(["a", "b"] * 45)
    pq.write_table(table.append_column("place", known), "fit.parquet")
    ct.fit("platt", "fit.parquet", by="place").save("c.json")
    refused("apply", "c.json", "in.parquet", "-o", "out.parquet", says=("was fitted for ''",))


def test_numbers_that_arrow_cannot_hold_are_refused_but_for_npz(run):
    """Found by tools/fuzz.py, seed 270001: labels of long doubles."""
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    np.savez("wide.npz", logits=logits, labels=np.array([0, 1, 0], np.longdouble))
    ct.fit("temperature", ct.Predictions.from_logits(logits, [0, 1, 1])).save("t.json")
    for suffix in ("csv", "parquet"):
        told = run("apply", "t.json", "wide.npz", "-o", f"out.{suffix}")
        assert told.code == 2
        assert "only npz can hold those" in " ".join(told.err.split())
    assert run("apply", "t.json", "wide.npz", "-o", "out.npz").code == 0
